"""Wrong devices: what is computed elsewhere than asked, less exactly, or with more memory."""

from typing import Final

from tests.mutants.mutant import Mutant

_FITS = "probing/test_devices.py"
_STUDY = "experiments/test_devices.py"
_MEMORY = "models/test_device_memory.py"

DEVICES: Final = (
    Mutant(
        name="TF32 as the process has it",
        file="runtime/devices.py",
        before='    torch.set_float32_matmul_precision("highest")\n    try:\n',
        after="    try:\n",
        tests=(f"{_FITS}::TestComputing",),
        wrong="products on a GPU are rounded to TF32 where the process allows it",
    ),
    Mutant(
        name="bfloat16 on a GPU",
        file="probing/probe.py",
        before='rounds=self.device == "cpu" and multiplies_bfloat16()',
        after="rounds=multiplies_bfloat16()",
        tests=(f"{_FITS}::TestProbe::test_is_of_float32_where_the_processor_has_bfloat16",),
        wrong="fits on a GPU are rounded because the processor multiplies bfloat16",
    ),
    Mutant(
        name="a matrix larger than the device",
        file="runtime/devices.py",
        before="if free is None or matrix.nbytes <= _SHARE * free else matrix",
        after="",
        tests=(f"{_FITS}::test_a_matrix_lies_on_the_device_where_there_is_room",),
        wrong="a matrix is copied to a device that has no room for it",
    ),
    Mutant(
        name="the first GPU whichever is asked",
        file="experiments/subject.py",
        before='return str(device) if device.type == "cuda" else "cpu"',
        after='return device.type if device.type == "cuda" else "cpu"',
        tests=(f"{_STUDY}::test_a_gpu_without_float64_has_the_model_alone",),
        wrong="probes run on the first GPU where the model has the second",
    ),
    Mutant(
        name="hidden states kept on the device",
        file="models/model.py",
        before="use_cache=False, **self._without)",
        after="use_cache=False)",
        tests=(f"{_MEMORY}::test_nor_where_a_configuration_asks_for_something_of_every_block",),
        wrong="a configuration makes a forward pass hold a tensor of every block",
    ),
)
