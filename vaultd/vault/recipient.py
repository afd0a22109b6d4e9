"""A plaintext leaves sealed to a key that the asker brings, or not at all (THR-19): JWE (RFC 7516) to a public JWK.

Asymmetric keys alone: a symmetric one would travel beside what it seals. Weak ones are refused, and so is a private
one: who sends it has shown it to everybody on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwe
from joserfc.jwk import ECKey, OKPKey, RSAKey

from vaultd.errors import Misconfigured
from vaultd.vault.envelope import ENC

#: NIST SP 800-57 part 1 §5.6.1: below 2048 bits an RSA key does not outlive what it seals; above 8192 it costs seconds.
_RSA_BITS: Final = range(2048, 8193)
#: 65537 and above (NIST SP 800-56B §6.2), in at most 64 bits: a longer exponent only costs time.
_RSA_EXPONENTS: Final = range(65537, 1 << 64, 2)
#: RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2: what only its holder may know.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_CURVES: Final = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("X25519",)}
_ALGS: Final = {"RSA": "RSA-OAEP-256", "EC": "ECDH-ES", "OKP": "ECDH-ES"}
#: The public members of an RSA key of 8192 bits have 1,400 characters; the rest is names and a certificate.
_LONGEST: Final = 8192


class Recipient:
    """Who may read it. `thumbprint` (RFC 7638) names the key in the log."""

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        """Raises Misconfigured with what is wrong with the key; quotes none of it."""
        kind = jwk.get("kty")
        if not isinstance(kind, str) or kind not in _ALGS:
            raise Misconfigured("recipient: a public JWK of kty RSA, EC or OKP is needed")
        if _PRIVATE & jwk.keys():
            raise Misconfigured("recipient: that is a private key; send its public part, and use another from now on")
        if any(not isinstance(value, str) or len(value) > _LONGEST for name, value in jwk.items() if name in _READ):
            raise Misconfigured("recipient: not a JWK")
        if jwk.get("use", "enc") != "enc" or jwk.get("alg", _ALGS[kind]) != _ALGS[kind]:
            raise Misconfigured(f"recipient: a key of kty {kind} is used with alg {_ALGS[kind]}, and for `enc` alone")
        if kind in _CURVES and jwk.get("crv") not in _CURVES[kind]:
            raise Misconfigured(f"recipient: crv is to be one of {', '.join(_CURVES[kind])}")
        try:
            self._key = _read(kind, {name: value for name, value in jwk.items() if name in _READ})
            self.thumbprint = self._key.thumbprint()
        except Misconfigured:
            raise
        except Exception:  # noqa: BLE001  - joserfc and cryptography raise nearly all of Python's classes
            raise Misconfigured("recipient: not a JWK") from None
        self._alg = _ALGS[kind]

    def seal(self, plain: bytes, *, typ: str) -> dict[str, str]:
        """The flattened JSON form (RFC 7516 §7.2.2). Raises Misconfigured for a key that looks like one and is none: a
        point of low order (RFC 7748 §6.1), an even modulus."""
        header = {"alg": self._alg, "enc": ENC, "typ": typ, "kid": self.thumbprint}
        try:
            compact = jwe.encrypt_compact(header, plain, self._key, algorithms=[self._alg, ENC])
        except ValueError:
            raise Misconfigured("recipient: nothing can be sealed to this key") from None
        names = ("protected", "encrypted_key", "iv", "ciphertext", "tag")
        return {name: part for name, part in zip(names, compact.split("."), strict=True) if part}


_READ: Final = frozenset({"kty", "n", "e", "crv", "x", "y"})


def _read(kind: str, members: dict[str, Any]) -> RSAKey | ECKey | OKPKey:
    if kind == "EC":
        return ECKey.import_key(members)
    if kind == "OKP":
        return OKPKey.import_key(members)
    key = RSAKey.import_key(members)
    public = key.public_key
    if public.key_size not in _RSA_BITS or public.public_numbers().e not in _RSA_EXPONENTS:
        raise Misconfigured("recipient: an RSA key has 2048 to 8192 bits and an odd exponent from 65537")
    return key
