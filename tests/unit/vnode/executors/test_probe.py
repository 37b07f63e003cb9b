from vnode.executors.probe import attempts


def test_every_address_of_the_host_and_every_target_is_tried():
    tried = attempts(
        ["10.0.0.5", "127.0.0.1", "::1", "fe80::1"], 4000, [("hub.example.org", 443), ("10.9.9.9", 22)], ["10.213.0.1"]
    )
    assert tried["connect"] == [
        ["10.0.0.5", 4000],
        ["fe80::1", 4000],
        ["10.213.0.1", 4000],
        ["hub.example.org", 443],
        ["10.9.9.9", 22],
    ]
    assert tried["send"] == [["10.0.0.5", 4000], ["fe80::1", 4000], ["10.213.0.1", 4000]]
    assert tried["look_up"] == ["hub.example.org", "example.com"]


def test_a_sandboxs_own_loopback_is_not_tried():
    tried = attempts(["127.0.0.1"], 4000, [("localhost", 8080), ("127.0.0.1", 8080)], [])
    assert tried["connect"] == tried["send"] == []
    assert "localhost" not in tried["look_up"]
