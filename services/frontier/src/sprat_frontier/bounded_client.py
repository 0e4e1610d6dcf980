"""An HTTP client that reads at most so many bytes of a response, both as it is sent and as it is unpacked."""

import hashlib
import zlib
from typing import Any, Final

import httpx2
from openai import DefaultAsyncHttpxClient, OpenAIError

MAX_BYTES: Final = 1024 * 1024
"""Several times what 16,384 tokens take in JSON. Sixteen such responses fit a service of 384 MB."""

_FORMATS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_NO_BODY: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class UnreadableResponseError(OpenAIError):
    """A response that is not read: too large, or compressed in a way that was not asked for.

    One of the client's own errors, so that the client passes it on as it is.
    """

    def __init__(self, code: str, detail: str, certificate: str | None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.certificate = certificate


class BoundedClient(DefaultAsyncHttpxClient):
    """Reads responses within a limit; that of an error is not read at all, because it may repeat the request."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send the request and return the response with its content.

        Raises:
            UnreadableResponseError: it is too large, or not readable.
            HTTPError: as the client raises it.
        """
        # Asked for as it is: it is small, and what is not compressed cannot expand. A server may compress it anyway.
        request.headers["accept-encoding"] = "identity"
        response = await super().send(request, stream=True, **options)
        try:
            certificate = certificate_of(response)
            content = await _content(response, certificate) if response.is_success else b""
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _NO_BODY]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            content=content,
            request=request,
            extensions={"certificate": certificate},
        )


def certificate_of(response: httpx2.Response) -> str | None:
    """Return the SHA-256 of the server's TLS certificate; None without TLS."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    der = None if tls is None else tls.getpeercert(binary_form=True)
    return None if der is None else hashlib.sha256(der).hexdigest()


async def _content(response: httpx2.Response, certificate: str | None) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity" and encoding not in _FORMATS:
        raise UnreadableResponseError("garbled", "the response is compressed in an unknown way", certificate)
    inflate = None if encoding == "identity" else zlib.decompressobj(_FORMATS[encoding])
    content = bytearray()
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        try:
            # One byte more than the limit at most, whatever the chunk would expand to.
            content += chunk if inflate is None else inflate.decompress(chunk, MAX_BYTES + 1 - len(content))
        except zlib.error:
            raise UnreadableResponseError("garbled", "the response is not compressed as it says", certificate) from None
        if max(received, len(content)) > MAX_BYTES:  # what expands to nothing has no end either
            raise UnreadableResponseError(
                "too_large", f"the response has more than {MAX_BYTES} bytes", certificate
            ) from None
        if inflate is not None and inflate.eof:
            break  # what follows is no part of the response, and may be endless
    if inflate is not None and not inflate.eof:
        raise UnreadableResponseError("garbled", "the compressed response is not complete", certificate)
    return bytes(content)
