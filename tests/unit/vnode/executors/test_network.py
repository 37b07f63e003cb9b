from ipaddress import IPv4Network
from itertools import islice

import pytest

from vnode.executors.network import PrivateNetwork, candidate_subnets, host_routes, isolation_options

POOL = IPv4Network("10.213.0.0/16")


@pytest.mark.parametrize(
    ("version", "option"),
    [
        ("20.10.24+dfsg1", "com.docker.network.bridge.inhibit_ipv4"),
        ("27.5.1", "com.docker.network.bridge.inhibit_ipv4"),
        ("28.0.0", "com.docker.network.bridge.gateway_mode_ipv4"),
        ("29.1", "com.docker.network.bridge.gateway_mode_ipv4"),
        ("dev", "com.docker.network.bridge.inhibit_ipv4"),
    ],
)
def test_the_bridge_has_no_address_by_engine_version(version, option):
    assert option in isolation_options(version)


def test_subnets_that_are_taken_are_passed_over():
    taken = [IPv4Network("10.213.0.0/28"), IPv4Network("10.213.0.32/27"), IPv4Network("192.168.0.0/16")]
    assert [str(s) for s in islice(candidate_subnets(POOL, taken, 0), 3)] == [
        "10.213.0.16/28",
        "10.213.0.64/28",
        "10.213.0.80/28",
    ]


def test_nodes_begin_at_places_of_their_own_and_go_round():
    last = next(candidate_subnets(POOL, [], 4095))
    assert str(last) == "10.213.255.240/28"
    assert str(list(islice(candidate_subnets(POOL, [], 4095), 2))[1]) == "10.213.0.0/28"


def test_a_full_pool_gives_nothing():
    assert list(candidate_subnets(POOL, [IPv4Network("10.0.0.0/8")], 7)) == []


def test_three_nodes_with_sixteen_runs_each_fit():
    taken: list[IPv4Network] = []
    for node in range(3):
        taken += list(islice(candidate_subnets(POOL, taken, node * 5), 20))
    assert len(set(taken)) == 60


def test_addresses():
    network = PrivateNetwork("vnode-a-net-1", IPv4Network("10.213.0.16/28"))
    assert (network.gateway_address, network.proxy_address, network.sandbox_address) == (
        "10.213.0.17",
        "10.213.0.18",
        "10.213.0.19",
    )


def test_routes_of_the_host_but_the_default(tmp_path):
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert host_routes(table) == [IPv4Network("172.17.0.0/16")]
    assert host_routes(tmp_path / "none") == []
