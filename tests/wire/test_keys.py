from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrplib.errors import ConfigError
from vrrplib.wire.keys import Key, Replay

SECRET = "correct horse"


@pytest.mark.parametrize("form", [SECRET, SECRET.encode(), bytearray(b"correct horse"), Key(SECRET)])
def test_a_key_is_text_or_bytes_and_hides_them(form: Any) -> None:
    key = Key(form)
    assert key.reveal() == b"correct horse"
    for shown in (repr(key), str(key), f"{key!r:>40}", repr([key]), repr({key: 1})):
        assert "correct" not in shown
    assert repr(key) == "Key(hidden)"


def test_text_is_utf8_and_what_the_command_line_could_not_decode_is_as_it_came() -> None:
    assert Key("schlüssel").reveal() == "schlüssel".encode()
    assert Key("\udcff").reveal() == b"\xff"


@pytest.mark.parametrize("secret", [None, 1234, "\ud800", ["a"]])
def test_what_is_no_secret_is_refused_where_its_length_is_asked_for(secret: Any) -> None:
    key = Key(secret)
    assert key.reveal() == b""
    with pytest.raises(ConfigError, match=r"^key must be text or bytes$"):
        key.require_length(0, 8, "so")


def test_a_length_is_named_and_not_the_key() -> None:
    Key("12345678").require_length(1, 8, "so")
    with pytest.raises(ConfigError, match=r"^key must have 1-8 bytes, not 13: no room$"):
        Key(SECRET).require_length(1, 8, "no room")
    with pytest.raises(ConfigError, match=r"^key must have 16 bytes, not 0: so$"):
        Key("").require_length(16, 16, "so")


def test_keys_compare_and_hash_as_their_secrets_and_cannot_be_changed() -> None:
    assert Key("a") == Key(b"a")
    assert hash(Key("a")) == hash(Key(b"a"))
    assert Key("a") != Key("b")
    assert Key("a") != "a"
    with pytest.raises(AttributeError, match="cannot be changed: _secret"):
        Key("a")._secret = b"b"


def test_keys_survive_copy_and_pickle() -> None:
    key = Key(SECRET)
    assert copy.deepcopy(key) == pickle.loads(pickle.dumps(key)) == key


def play(numbers: list[int], **options: int) -> list[bool]:
    state, accepted = Replay(), []
    for number in numbers:
        after = state.accept(b"a", number, **options)
        accepted.append(after is not None)
        state = after or state
    return accepted


def test_without_a_window_a_number_must_be_above_the_last() -> None:
    assert play([5, 5, 4, 6, 9, 8]) == [True, False, False, True, True, False]


def test_in_a_window_each_number_is_good_once() -> None:
    assert play([5, 3, 3, 5, 4, 6, 4], window=64) == [True, True, False, False, True, True, False]
    # 64 wide: 36 lies in it when 100 was the last, 35 does not
    assert play([100, 37, 36, 37], window=64) == [True, True, False, False]
    assert play([1, 300, 299], window=64) == [True, True, True]


def test_numbers_of_so_many_bits_wrap() -> None:
    assert play([254, 255, 0, 255, 1], bits=8) == [True, True, True, False, True]
    assert play([0xFFFFFFFF, 0], bits=64) == [True, False]


def test_each_sender_has_numbers_of_its_own_and_the_one_not_heard_for_longest_is_forgotten() -> None:
    state: Replay | None = Replay()
    for number in range(16):
        assert state is not None
        state = state.accept(bytes([number]), 7)
    assert state is not None
    assert state.highest(b"\0") == 7
    assert state.highest() == 0
    state = state.accept(b"\0", 8)
    assert state is not None
    state = state.accept(b"new", 1)
    assert state is not None
    assert (state.highest(b"\0"), state.highest(b"\1"), len(state.marks)) == (8, 0, 16)


@given(st.lists(st.integers(0, 200)), st.sampled_from([1, 64]))
def test_no_number_is_accepted_twice_and_a_higher_one_always(numbers: list[int], window: int) -> None:
    accepted = [number for number, good in zip(numbers, play(numbers, window=window), strict=True) if good]
    assert len(accepted) == len(set(accepted))
    assert all(number in accepted for at, number in enumerate(numbers) if number > max([-1, *numbers[:at]]))
