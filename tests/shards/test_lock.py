"""Locks: who waits gets the folder once it is free."""

from threading import Thread

from shards.lock import awaited


def test_who_waits_for_a_folder_gets_it_when_it_is_free(tmp_path):
    met = []

    def second():
        with awaited(tmp_path):
            met.append("second")

    other = Thread(target=second)
    with awaited(tmp_path):
        other.start()
        other.join(0.2)
        met.append("first")
    other.join()
    assert met == ["first", "second"]
