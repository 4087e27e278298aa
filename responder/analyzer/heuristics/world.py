"""What programs say about the world around them: a disk, a certificate, a right, a neighbour that does not answer.

Shared by the signatures, because the last complaint of a log is the one that ended the program.
"""

from __future__ import annotations

from dataclasses import dataclass

from responder.patterns import Pattern


@dataclass(frozen=True, kw_only=True)
class Complaint:
    signature: str
    what: str
    """The cause in words for people."""


# Statements about the world around the program, each with what a person looks at; none of them chooses a change.
_COMPLAINTS: tuple[tuple[str, str, Pattern], ...] = (
    (
        "crash.disk_full",
        "no space is left where it writes",
        Pattern(r"(?i)no space left on device|\bENOSPC\b|disk quota exceeded"),
    ),
    (
        "crash.certificate",
        "a certificate that it uses is expired or not trusted",
        Pattern(
            r"(?i)certificate (?:has |is )?(?:expired|not yet valid)|x509: certificate|"
            r"certificate verify failed|CERT_HAS_EXPIRED"
        ),
    ),
    (
        "crash.forbidden",
        "its service account lacks a right in the cluster",
        Pattern(
            r"(?i)is forbidden: User \"?system:serviceaccount|cannot (?:list|get|watch|create|update|patch) resource"
        ),
    ),
    (
        "crash.credentials",
        "something that it depends on refuses its credentials",
        Pattern(
            r"(?i)(?:password )?authentication failed|access denied for user|"
            r"invalid (?:credentials|password|username)|NOAUTH|WRONGPASS|401 unauthorized"
        ),
    ),
    (
        "crash.dependency",
        "something that it depends on does not answer",
        Pattern(
            r"(?i)connection refused|\bECONNREFUSED\b|no such host|\bENOTFOUND\b|\bEAI_AGAIN\b|"
            r"could not (?:connect|translate host)|"
            r"name or service not known|temporary failure in name resolution|nodename nor servname|no route to host|"
            r"network is unreachable|connection timed out|\bETIMEDOUT\b|i/o timeout|host is unreachable|"
            r"failed to connect|unable to connect|can'?t connect to|connection reset by peer|host not found in upstream"
        ),
    ),
    (
        "config.missing_file",
        "a file that it needs is not there",
        Pattern(
            r"(?i)FileNotFoundError|\bENOENT\b|no such file or directory|FileNotFoundException|NoSuchFileException"
        ),
    ),
    (
        "crash.address_in_use",
        "the port that it wants is taken by another process of the pod or the node",
        Pattern(r"(?i)address (?:already )?in use|\bEADDRINUSE\b"),
    ),
)


def about_the_world(line: str) -> Complaint | None:
    return next(
        (Complaint(signature=signature, what=what) for signature, what, pattern in _COMPLAINTS if pattern.found(line)),
        None,
    )
