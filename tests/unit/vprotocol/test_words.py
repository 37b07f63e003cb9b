import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from vprotocol.wordlist import WORDS
from vprotocol.words import base32 as in_groups
from vprotocol.words import spoken, words

fingerprints = st.binary(min_size=32, max_size=32).map(bytes.hex)


def test_the_list_is_frozen():
    assert len(WORDS) == len(set(WORDS)) == 2048
    assert list(WORDS) == sorted(WORDS)
    digest = hashlib.sha256("\n".join(WORDS).encode()).hexdigest()
    assert digest == "79175ed77fd959ffec27b4870cb6ff810cc5e4502fd8f80eadb9bb04aea1ef93"


def test_words_are_told_apart_by_their_first_four_letters():
    assert len({word[:4] for word in WORDS}) == len(WORDS)
    masked = [word[:at] + "?" + word[at + 1 :] for word in WORDS for at in range(len(word))]
    assert len(set(masked)) == len(masked)  # no two differ in one letter only
    assert all(word.isascii() and word.islower() and word.isalpha() for word in WORDS)


@given(fingerprints)
def test_ten_words_are_the_first_110_bits(fingerprint):
    number = 0
    for word in words(fingerprint):
        number = number * 2048 + WORDS.index(word)
    assert number == int(fingerprint, 16) >> 146
    assert spoken(fingerprint).split() == list(words(fingerprint))


@given(fingerprints, st.integers(0, 109))
def test_any_changed_bit_of_these_changes_a_word(fingerprint, bit):
    other = f"{int(fingerprint, 16) ^ (1 << (255 - bit)):064x}"
    assert words(other) != words(fingerprint)


@given(fingerprints)
def test_base32_is_the_whole_fingerprint_in_groups_of_four(fingerprint):
    text = in_groups(fingerprint)
    assert all(len(group) == 4 for group in text.split("-"))
    assert base64.b32decode(text.replace("-", "").upper() + "====").hex() == fingerprint
