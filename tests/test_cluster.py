"""A cluster is named in words that are checked, and hands results back in order."""

import pytest

from rsa_face.cluster import connect, map_in_order


@pytest.mark.parametrize("words", ["local", "local:0", "local:two", "http://x:1", "tcp:host", "slurm"])
def test_words_that_name_no_cluster_are_refused(words):
    with pytest.raises(ValueError, match=f"'{words}' names no cluster"), connect(words):
        pass


def test_a_missing_package_names_the_extra(monkeypatch):
    def missing(_name):
        raise ModuleNotFoundError

    monkeypatch.setattr("rsa_face.cluster.import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"rsa-face\[cluster\]"), connect("local:2"):
        pass


class Client:
    """Answers like dask's, in this process."""

    def map(self, function, items, *shared, **_options):
        given = [[each.value for each in futures] for futures in shared]
        return [Future(function(*arguments)) for arguments in zip(items, *given, strict=True)]

    def submit(self, function, *arguments, **_options):
        self.sent = [*getattr(self, "sent", []), *arguments]
        return Future(function(*arguments))

    def cancel(self, futures):
        self.cancelled = len(futures)


class Future:
    def __init__(self, value):
        self.value = value

    def result(self):
        return self.value

    def release(self):
        pass


def test_results_come_in_the_order_of_the_items():
    client = Client()
    assert list(map_in_order(client, lambda item: item * 2, [3, 1, 2])) == [6, 2, 4]
    assert client.cancelled == 3


def test_what_every_call_needs_is_sent_once():
    client = Client()
    found = list(map_in_order(client, lambda item, shared: item * shared["factor"], [3, 1], shared={"factor": 5}))
    assert found == [15, 5]
    assert client.sent == [{"factor": 5}]
