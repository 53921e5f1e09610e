"""Where every recogniser's weights begin: `model.apply(initialise)`."""

from torch import nn


def initialise(module: nn.Module) -> None:
    """He for what precedes a rectifier, Glorot elsewhere, orthogonal recurrences with an open forget gate.

    Sources: He et al. 2015; Glorot and Bengio 2010; Saxe et al. 2014; Gers et al. 2000.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear | nn.Conv1d):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.LSTM | nn.GRU):
        gates = 4 if isinstance(module, nn.LSTM) else 3
        for name, value in module.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(value)
                if gates == 4 and name.startswith("bias_ih"):
                    nn.init.ones_(value.data.chunk(4)[1])  # gates: i, f, g, o
            else:
                for gate in value.data.chunk(gates):
                    (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)
