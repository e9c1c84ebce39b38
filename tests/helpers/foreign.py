"""A second device for a PyTorch without CUDA, on which CUDA's faults show.

`ForeignTensor`s of device "foreign" hold CPU tensors and compute real numbers, with
autograd, autocast (by CUDA's lists) and fused optimizers.  What fails on CUDA raises:
operations on tensors of both devices, CPU generators, `numpy()` and group norm of
mixed types.
Operations without a reproducible algorithm on CUDA are recorded.

    foreign.install()
    x = torch.zeros(3, device="foreign")

Uses private API of PyTorch 2.13; `install` raises `Unavailable` where it is missing.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from skfm_lib.models.quantizer import nearest_by_product

NAME = "foreign"
aten = torch.ops.aten

# Autocast on CUDA: aten/src/ATen/autocast_mode.h of PyTorch 2.13.
LOWER = """
    conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d.input
    conv_transpose3d.input convolution prelu addmm addmv addr matmul mm mv linear
    addbmm baddbmm bmm chain_matmul linalg_multi_dot scaled_dot_product_attention
"""
UPPER = """
    acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan
    pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar softplus layer_norm native_layer_norm
    group_norm frobenius_norm.dim nuclear_norm nuclear_norm.dim cosine_similarity
    poisson_nll_loss cosine_embedding_loss nll_loss nll_loss2d hinge_embedding_loss
    kl_div l1_loss smooth_l1_loss huber_loss mse_loss margin_ranking_loss
    multilabel_margin_loss soft_margin_loss triplet_margin_loss multi_margin_loss
    binary_cross_entropy_with_logits dist pdist cdist renorm logsumexp
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d
    upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
    prod prod.dim_int softmax.int log_softmax.int cumprod cumsum linalg_vector_norm
    linalg_matrix_norm norm.Scalar norm.ScalarOpt_dim sum sum.dim_IntList
"""
IRREPRODUCIBLE = """
    upsample_linear1d_backward upsample_bilinear2d_backward
    upsample_trilinear3d_backward upsample_bicubic2d_backward
    adaptive_avg_pool2d_backward _adaptive_avg_pool2d_backward
    _adaptive_avg_pool3d_backward avg_pool3d_backward adaptive_max_pool2d_backward
    max_pool2d_with_indices_backward max_pool3d_with_indices_backward
    reflection_pad1d_backward reflection_pad3d_backward replication_pad1d_backward
    replication_pad2d_backward replication_pad3d_backward grid_sampler_2d_backward
    grid_sampler_3d_backward put_ histc kthvalue median nll_loss2d_forward
""".split()  # with torch.use_deterministic_algorithms, these raise on CUDA
COPIES = {
    aten._to_copy.default,
    aten.copy_.default,
    aten._copy_from.default,
    aten._copy_from_and_resize.default,
}
INDEXED = {  # on CUDA, indices may be on the CPU
    aten.index.Tensor,
    aten._unsafe_index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._index_put_impl_.default,
}


class Unavailable(RuntimeError):
    """This PyTorch lacks the private API that the device is made of."""


class Record:
    """What ran on the device: operations by name, and the irreproducible ones."""

    operations: Counter[str] = Counter()
    irreproducible: set[str] = set()


class ForeignTensor(torch.Tensor):
    """A tensor of the device: the CPU tensor `raw` behind a wrapper."""

    raw: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> "ForeignTensor":
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            layout=raw.layout,
            device=torch.device(NAME, 0),
            requires_grad=False,
        )
        wrapper.raw = raw
        return wrapper

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return run(func, args, kwargs or {})

    def numpy(self, *_: object, **__: object) -> Any:
        """Raise, as on CUDA."""
        raise TypeError(
            f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() "
            "to copy the tensor to host memory first."
        )

    def __array__(self, *_: object, **__: object) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        """The values; a synchronising read."""
        return self.raw.detach().tolist()

    def __repr__(self, *_: object, **__: object) -> str:
        return f"{NAME}({self.raw!r})"

    def __deepcopy__(self, memo: dict) -> torch.Tensor:
        copy = ForeignTensor(self.raw.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            copy = torch.nn.Parameter(copy, self.requires_grad)
        memo[id(self)] = copy
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.raw.detach().clone().__reduce_ex__(protocol)


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on tensors of which some are foreign, or that creates one."""
    leaves = tree_leaves((args, kwargs))
    tensors = [x for x in leaves if isinstance(x, torch.Tensor)]
    wrappers = [x for x in tensors if isinstance(x, ForeignTensor)]
    device = kwargs.get("device")
    target = None if device is None else torch.device(device).type == NAME
    _raise_what_cuda_raises(func, args, leaves, bool(wrappers), bool(target))
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu") if target else device}
    kwargs.pop("pin_memory", None)
    name = func.overloadpacket.__name__
    if wrappers or target:
        floating = tensors and tensors[0].is_floating_point()
        Record.operations[name] += not func.is_view
        if name in IRREPRODUCIBLE or (name == "cumsum" and floating):
            Record.irreproducible.add(name)
    if wrappers and name in EMULATED:
        return EMULATED[name](*args, **kwargs)
    result = func(*tree_map(_raw, args), **tree_map(_raw, kwargs))
    if target is None:
        into = args[:1] if func is aten.copy_.default else wrappers
        target = any(isinstance(x, ForeignTensor) for x in into)
    known = {id(wrapper.raw): wrapper for wrapper in wrappers}  # results in place

    def wrap(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or isinstance(x, ForeignTensor):
            return x
        return known.get(id(x), ForeignTensor(x) if target else x)

    return tree_map(wrap, result)


def _raise_what_cuda_raises(
    func: Any, args: Any, leaves: list, some: bool, target: bool
) -> None:
    name = func.overloadpacket.__name__
    tensors = [x for x in leaves if isinstance(x, torch.Tensor)]
    if some and func not in COPIES:
        strangers = [
            x
            for x in (_without_indices(args) if func in INDEXED else tensors)
            if not isinstance(x, ForeignTensor) and (x.dim() > 0 or x.requires_grad)
        ]
        if strangers:
            shapes = [tuple(x.shape) for x in strangers]
            raise RuntimeError(
                f"{func}: Expected all tensors to be on the same device, but found at "
                f"least two devices, {NAME}:0 and cpu (shapes on cpu: {shapes})"
            )
    if (some or target) and any(isinstance(x, torch.Generator) for x in leaves):
        raise RuntimeError(
            f"{func}: Expected a '{NAME}' device type for generator but found 'cpu'"
        )
    if some and name == "native_group_norm":
        x, weight = args[:2]
        if weight is not None and weight.dtype != x.dtype:
            raise RuntimeError(
                f"{func}: expected scalar type {x.dtype} but found {weight.dtype}"
            )


def _channel_statistics(x: "ForeignTensor", eps: float) -> tuple:
    """batch_norm_stats, which has no kernel for CPUs: mean and 1/σ, float32."""
    raw = x.raw.float() if x.raw.dtype == torch.bfloat16 else x.raw
    variance, mean = torch.var_mean(raw, (0, *range(2, raw.dim())), correction=0)
    return ForeignTensor(mean), ForeignTensor((variance + eps).rsqrt())


def _convolution_gradients(*args: Any) -> Any:
    """convolution_backward in float32: bf16's on CPUs reads memory that nothing wrote.

    It does where a side of the map is no longer than the kernel (PyTorch 2.13; see
    `models.ops.conv3d.precision`); CUDA has kernels of its own.
    """
    dtype = args[0].dtype

    def wide(x: Any) -> Any:
        floating = isinstance(x, ForeignTensor) and x.raw.is_floating_point()
        return x.raw.float() if floating else _raw(x)

    gradients = aten.convolution_backward.default(*tree_map(wide, args))
    return tuple(None if g is None else ForeignTensor(g.to(dtype)) for g in gradients)


# Operations that have a kernel for CUDA, or another one than for CPUs.
EMULATED: dict[str, Callable[..., Any]] = {
    "convolution_backward": _convolution_gradients,
    "batch_norm_stats": _channel_statistics,
    "nearest_code": nearest_by_product,
}


def _without_indices(args: Any) -> list[torch.Tensor]:
    """Of an indexing operation, the tensor indexed and the values put there."""
    given = [args[0], *args[2:3]]
    return [x for x in given if isinstance(x, torch.Tensor)]


def _raw(x: Any) -> Any:
    return x.raw if isinstance(x, ForeignTensor) else x


class _Creation(TorchDispatchMode):
    """Runs what names the device in its keywords, such as ``torch.zeros``."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        named = device is not None and torch.device(device).type == NAME
        if named or any(
            isinstance(x, ForeignTensor) for x in tree_leaves((args, kwargs))
        ):
            return run(func, args, kwargs)
        return func(*args, **kwargs)


class _Backend:
    """The module ``torch.foreign``."""

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def get_device_properties(device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(total_memory=1 << 30)

    @staticmethod
    def empty_cache() -> None:
        """Nothing: freed tensors are not kept."""

    @staticmethod
    def mem_get_info(device: torch.device) -> tuple[int, int]:
        return 1 << 30, 1 << 30

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """Nothing: only CPU generators are used."""

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16, torch.float32]


_libraries: list[torch.library.Library] = []  # registrations end with their library


def install() -> None:
    """Make the device known to PyTorch, once per process."""
    if _libraries:
        return
    try:
        from torch.utils.backend_registration import (
            _setup_privateuseone_for_python_backend as setup,
        )

        setup(rename=NAME, backend_module=_Backend())
        _register_factories()
        _register_autocast()
    except (ImportError, AttributeError) as error:
        raise Unavailable(f"PyTorch {torch.__version__}: {error}") from error


def _register_factories() -> None:
    """What `torch.tensor` and copies call below the Python dispatch key."""
    library = torch.library.Library("aten", "IMPL")
    _libraries.append(library)

    def strided(
        size: Any, stride: Any, *, dtype: Any = None, **_: object
    ) -> ForeignTensor:
        return ForeignTensor(torch.empty_strided(size, stride, dtype=dtype))

    def empty(
        size: Any, *, dtype: Any = None, memory_format: Any = None, **_: object
    ) -> ForeignTensor:
        layout = memory_format or torch.contiguous_format
        return ForeignTensor(torch.empty(size, dtype=dtype, memory_format=layout))

    def copy(src: Any, dst: Any, non_blocking: bool = False) -> Any:
        _raw(dst).copy_(_raw(src))
        return dst

    library.impl("empty_strided", strided, "PrivateUse1")
    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("_copy_from", copy, "PrivateUse1")


def _register_autocast() -> None:
    key = "AutocastPrivateUse1"
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(torch.library.fallthrough_kernel, key)
    library = torch.library.Library("aten", "IMPL")
    _libraries.extend([everything, library])
    for names, upper in ((LOWER, False), (UPPER, True)):
        for name in names.split():
            base, _, overload = name.partition(".")
            if hasattr(aten, base):
                operation = getattr(getattr(aten, base), overload or "default")
                library.impl(name, _cast_first(operation, upper), key)


def _cast_first(operation: Any, upper: bool) -> Callable[..., Any]:
    """The operation on floating-point tensors that are cast as autocast does."""
    autocast = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        dtype = torch.float32 if upper else torch.get_autocast_dtype(NAME)

        def cast(x: Any) -> Any:
            if isinstance(x, torch.Tensor) and x.device.type == NAME:
                fits = x.is_floating_point() and x.dtype != torch.float64
                return x.to(dtype) if fits else x
            return x

        with torch._C._ExcludeDispatchKeyGuard(autocast):
            return operation(*tree_map(cast, args), **tree_map(cast, kwargs))

    return kernel


@contextlib.contextmanager
def active() -> Iterator[type[Record]]:
    """Inside, tensors can be created on the device; yields what ran there."""
    install()
    Record.operations, Record.irreproducible = Counter(), set()
    with _Creation():
        yield Record
