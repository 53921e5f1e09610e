"""Metrics: the text that Prometheus scrapes."""

from train.servemetrics import Count, Gauge, Histogram, written


def test_the_text_is_that_of_the_format():
    count = Count("asked_total", "Asked.", ("path", "status"))
    count.add("/read", "200")
    count.add("/read", "200")
    count.add('/"odd\\\n', "404")
    seconds = Histogram("seconds", "Took.", (0.5, 2))
    for value in (0.5, 0.6, 7):
        seconds.observe(value)
    assert written([count, seconds, Gauge("waiting", "Waits.", lambda: 3)]) == (
        "# HELP asked_total Asked.\n"
        "# TYPE asked_total counter\n"
        'asked_total{path="/\\"odd\\\\\\n",status="404"} 1\n'
        'asked_total{path="/read",status="200"} 2\n'
        "# HELP seconds Took.\n"
        "# TYPE seconds histogram\n"
        'seconds_bucket{le="0.5"} 1\n'
        'seconds_bucket{le="2"} 2\n'
        'seconds_bucket{le="+Inf"} 3\n'
        "seconds_sum 8.1\n"
        "seconds_count 3\n"
        "# HELP waiting Waits.\n"
        "# TYPE waiting gauge\n"
        "waiting 3\n"
    )
