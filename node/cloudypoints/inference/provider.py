"""The execution provider that runs is the one asked for, or nothing runs."""

from __future__ import annotations

import logging
from typing import Any

from cloudypoints.errors import MissingExtra, ModelError, ProviderError

log = logging.getLogger(__name__)

# What people call them, and what onnxruntime does; `auto` tries them from the top.
PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_AUTO = ("cuda", "cpu")  # TensorRT builds engines for minutes: only when asked for


def open_session(
    model: bytes, where: str, provider: str = "auto", threads: int = 0
) -> tuple[Any, str]:
    """A session of the model's bytes, and the name of the provider that really runs it.

    From bytes there is no folder that external data could be read from. Raises ProviderError when
    `provider` does not run here, ModelError when the bytes are no model.
    """
    if provider != "auto" and provider not in PROVIDERS:
        raise ProviderError(f"provider {provider!r}; known are auto, {', '.join(PROVIDERS)}")
    candidates = _AUTO if provider == "auto" else (provider,)
    refusals = []
    for name in candidates:
        try:
            return _session(model, where, name, threads), name
        except ProviderError as refusal:
            refusals.append(str(refusal))
            log.info("%s", refusal)
    raise ProviderError("; ".join(refusals))


def _session(model: bytes, where: str, name: str, threads: int) -> Any:
    ort = import_onnxruntime()
    full_name = PROVIDERS[name]
    if full_name not in ort.get_available_providers():
        raise ProviderError(
            f"provider {name}: this onnxruntime was built without {full_name}; it has "
            f"{', '.join(ort.get_available_providers())}"
        )
    if full_name == "CUDAExecutionProvider" and not cuda_answers():
        raise ProviderError(
            "provider cuda: no NVIDIA driver or CUDA libraries here; install the driver and "
            "pip install 'cloudypoints[gpu]', or set provider = \"cpu\""
        )
    try:
        session = ort.InferenceSession(model, _options(ort, threads), providers=[full_name])
    except Exception as error:
        raise ModelError(
            f"{where}: not a model that onnxruntime opens: {_first_line(error)}"
        ) from error
    # onnxruntime falls back to the CPU in silence: what it says it runs is what counts.
    if session.get_providers()[0] != full_name:
        raise ProviderError(
            f"provider {name}: onnxruntime fell back to {session.get_providers()[0]}"
        )
    return session


def _options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its errors come as exceptions
    # Threads that spin while they wait take the core that the decoder needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def cuda_answers() -> bool:
    """Whether a CUDA device answers: onnxruntime lists the provider without one, too."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    ort = import_onnxruntime()
    if hasattr(ort, "preload_dlls"):  # since 1.21: finds the CUDA libraries that pip installed
        ort.preload_dlls()
    count = ctypes.c_int(0)
    return (
        driver.cuInit(0) == 0
        and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        and count.value > 0
    )


def import_onnxruntime() -> Any:
    """The module, or MissingExtra."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("inference", "node") from error
    return onnxruntime


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
