"""What a teacher with another image spec sees: its canvas, made out of the student's.

The law is that both see the same augmented canvas. So the student's normalisation is undone, and what lies in
the picture's place on its canvas is resampled (bilinear, antialiased, whatever the specs say) into the place
that the teacher's spec gives a picture of this source size; all else is the teacher's padding. A teacher of
colours that stands over a grey student sees grey.
Letters: N samples, C channels, H W pixels of the student, h w of the teacher, T the teacher's time steps.
"""

import torch
from torch import Tensor

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Batch

LUMA = (0.299, 0.587, 0.114)  # red, green, blue: ITU-R 601, as PIL makes grey


class Sight:
    """From batches of the student's spec to canvases of the teacher's."""

    def __init__(self, teacher: ImageSpec, student: ImageSpec) -> None:
        if teacher.polarity not in ("as_is", student.polarity):
            raise BadSettings(
                f"image.polarity is {teacher.polarity} for the teacher, {student.polarity} for the student: "
                "which pictures were turned cannot be seen any more; give the student "
                f"image.polarity={teacher.polarity}"
            )
        self.teacher, self.student = teacher, student

    def __call__(self, batch: Batch) -> Tensor:
        """The teacher's canvases [N,c,h,w], normalised as it wants them."""
        pixels = batch.images.float() * self.student.std + self.student.mean
        pixels = recolour(pixels, self.student.channels, self.teacher.channels)
        mine, theirs = self._places(batch)
        across, inside_x = weights(mine[:, 0], mine[:, 2], theirs[:, 0], theirs[:, 2], *self._sizes("width"))
        down, inside_y = weights(mine[:, 1], mine[:, 3], theirs[:, 1], theirs[:, 3], *self._sizes("height"))
        seen = down[:, None] @ pixels @ across[:, None].transpose(-1, -2)
        inside = inside_y[:, None, :, None] & inside_x[:, None, None, :]
        seen = torch.where(inside, seen, self.teacher.pad / 255)
        return (seen - self.teacher.mean) / self.teacher.std

    def centres(self, batch: Batch, frames: int) -> Tensor:
        """Where the middles of T steps, uniform over the teacher's canvas, stand on the student's: [N,T],
        0 its left edge and 1 its right one; more than 1 is padding of the teacher's.
        """
        mine, theirs = self._places(batch)
        steps = (torch.arange(frames, device=mine.device) + 0.5) * (self.teacher.width / frames)
        scale = mine[:, 2] / theirs[:, 2]
        return (mine[:, :1] + (steps - theirs[:, :1]) * scale[:, None]) / self.student.width

    def _places(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(left, top, width, height) of each picture on the student's and on the teacher's canvas, [N,4]."""
        sizes = [record.size for record in batch.records]  # (width, height)
        mine, theirs = ([spec.placement(*size) for size in sizes] for spec in (self.student, self.teacher))
        device = batch.images.device
        return torch.tensor(mine, device=device).float(), torch.tensor(theirs, device=device).float()

    def _sizes(self, side: str) -> tuple[int, int]:
        return getattr(self.student, side), getattr(self.teacher, side)


def recolour(pixels: Tensor, given: str, wanted: str) -> Tensor:
    """Pixels [N,C,H,W] in 0..1 from grey, rgb or bgr to another of these."""
    if given == wanted:
        return pixels
    if given == "grey":
        return pixels.expand(-1, 3, -1, -1)
    if wanted == "grey":
        shares = pixels.new_tensor(LUMA if given == "rgb" else LUMA[::-1])
        return (pixels * shares[:, None, None]).sum(1, keepdim=True)
    return pixels.flip(1)


def weights(
    start: Tensor, length: Tensor, new_start: Tensor, new_length: Tensor, size: int, new_size: int
) -> tuple[Tensor, Tensor]:
    """How one axis is resampled: weights [N,new_size,size], whose rows sum to 1, and which of the new pixels
    lie in the new place, [N,new_size]. [start, start + length) goes to [new_start, new_start + new_length).

    A triangle as wide as the shrinking, cut at the ends of the place: what PIL's antialiased bilinear does.
    """
    step = length / new_length  # old pixels to a new one
    new = torch.arange(new_size, device=start.device) + 0.5 - new_start[:, None]  # from the new start
    inside = (new >= 0) & (new <= new_length[:, None])
    at = start[:, None] + new.clamp(min=0).minimum(new_length[:, None]) * step[:, None]
    old = torch.arange(size, device=start.device) + 0.5
    reach = step.clamp(min=1)[:, None, None]
    shares = (1 - (old - at[..., None]).abs() / reach).clamp(min=0)
    there = (old >= start[:, None]) & (old <= (start + length)[:, None])
    shares = shares * there[:, None]
    return shares / shares.sum(-1, keepdim=True).clamp(min=1e-6), inside
