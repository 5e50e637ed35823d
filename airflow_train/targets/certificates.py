"""Keys and certificates of one run, by which its nodes know each other and nobody else.

A run has an authority of its own, whose key is forgotten as soon as it has signed: nobody can add a node later. Node 0
may only be dialled, the others may only dial, so no node can play node 0 to the rest.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_train.runtime import protocol

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

#: Clocks of machines differ.
BACKDATED = timedelta(hours=1)
#: Nodes show their certificates once, when they meet; a run may wait that long for its machines.
VALID = timedelta(days=366)


def make(run_id: str, nodes: int) -> list[dict[str, bytes]]:
    """For each node the content of its files by name (`protocol.CERTIFICATE_FILES`), to be handed over as 0400."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    authority = _key()
    root = (
        _builder(run_id, "authority", "authority", authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    return [_node(run_id, node, root, authority) for node in range(nodes)]


def _node(
    run_id: str, node: int, root: x509.Certificate, authority: EllipticCurvePrivateKey
) -> dict[str, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = _key()
    role = ExtendedKeyUsageOID.CLIENT_AUTH if node else ExtendedKeyUsageOID.SERVER_AUTH
    certificate = (
        _builder(run_id, protocol.certificate_name(node), "authority", key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([role]), critical=True)
        .sign(authority, hashes.SHA256())
    )
    content = (
        root.public_bytes(serialization.Encoding.PEM),
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return dict(zip(protocol.CERTIFICATE_FILES, content, strict=True))


def _key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _builder(run_id: str, subject: str, issuer: str, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(run_id, subject))
        .issuer_name(_name(run_id, issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALID)
    )


def _name(run_id: str, common: str) -> x509.Name:
    """X.509 allows 64 characters for a name; what is cut from a run's id only people miss."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, run_id[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
