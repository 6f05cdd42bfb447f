"""The names of Trainer's arguments, and those of other tools that change its rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.texts import abbreviate, near_names

CLASSES = ("TrainingArguments", "Seq2SeqTrainingArguments")
"""The classes whose defaults are known here. TRL's and others' subclasses have other ones."""

_NAMES = """
    accelerator_config activation_checkpointing activation_checkpointing_kwargs adam_beta1 adam_beta2 adam_epsilon
    auto_find_batch_size average_tokens_across_devices batch_eval_metrics bf16 bf16_full_eval data_seed
    dataloader_drop_last dataloader_in_order dataloader_multiprocessing_context dataloader_num_workers
    dataloader_persistent_workers dataloader_pin_memory dataloader_prefetch_factor ddp_backend ddp_broadcast_buffers
    ddp_bucket_cap_mb ddp_find_unused_parameters ddp_static_graph ddp_timeout debug deepspeed disable_tqdm do_eval
    do_predict do_train enable_jit_checkpoint eval_accumulation_steps eval_delay eval_do_concat_batches eval_on_start
    eval_steps eval_strategy eval_use_gather_object fp16 fp16_full_eval fsdp fsdp_config full_determinism
    generation_config generation_max_length generation_num_beams gradient_accumulation_steps gradient_checkpointing
    gradient_checkpointing_kwargs greater_is_better hub_always_push hub_model_id hub_private_repo hub_revision
    hub_strategy hub_token ignore_data_skip include_for_metrics include_num_input_tokens_seen label_names
    label_smoothing_factor learning_rate length_column_name liger_kernel_config load_best_model_at_end local_rank
    log_level log_level_replica log_on_each_node logging_first_step logging_nan_inf_filter logging_steps
    logging_strategy lr_scheduler_kwargs lr_scheduler_type max_grad_norm max_steps metric_for_best_model
    neftune_noise_alpha num_train_epochs optim optim_args optim_target_modules output_dir parallelism_config
    per_device_eval_batch_size per_device_train_batch_size predict_with_generate prediction_loss_only project
    push_to_hub remove_unused_columns report_to restore_callback_states_from_checkpoint resume_from_checkpoint
    run_name save_on_each_node save_only_model save_steps save_strategy save_total_limit seed skip_memory_metrics
    sortish_sampler tf32 torch_compile torch_compile_backend torch_compile_mode torch_empty_cache_steps
    trackio_bucket_id trackio_space_id trackio_static_space_id train_sampling_strategy use_cache use_cpu
    use_liger_kernel warmup_steps weight_decay

    adafactor dispatch_batches evaluation_strategy fp16_backend fp16_opt_level fsdp_min_num_params
    fsdp_transformer_layer_cls_to_wrap group_by_length half_precision_backend include_inputs_for_metrics
    include_tokens_per_second jit_mode_eval logging_dir mp_parameters no_cuda overwrite_output_dir past_index
    push_to_hub_model_id push_to_hub_organization push_to_hub_token ray_scope save_safetensors split_batches
    torchdynamo tpu_metrics_debug tpu_num_cores use_ipex use_legacy_prediction_loop use_mps_device warmup_ratio
    xpu_backend
"""
NAMES = frozenset(_NAMES.split())
"""The arguments of those classes, of transformers 5.23.0; below the empty line those of transformers 4 alone."""

OTHER_RATES = (
    "cosine_min_lr_ratio",
    "cosine_constant_lr_ratio",
    "lr_quadratic_warmup",
    "loraplus_lr_ratio",
    "lr_groups",
    "embedding_lr",
    "embedding_lr_scale",
    "relora",
    "relora_steps",
    "relora_warmup_steps",
    "jagged_restart_steps",
    "jagged_restart_warmup_steps",
)
"""Arguments of Axolotl's and TRL's trainers that change the rates, where they are neither null nor false."""

ALIKE = 0.8
"""How alike a misspelt name is to one that is meant, from 0 to 1."""
_LEAST = 4  # letters of a name that is taken for the beginning of another


def check_names(arguments: Any, decisive: Iterable[str]) -> None:
    """Raise `ValueError` for an argument that changes the rates elsewhere, and for a misspelt name of a decisive one.

    Of an object only the former are looked for.
    """
    given = arguments if isinstance(arguments, Mapping) else vars(arguments) if hasattr(arguments, "__dict__") else {}
    for name in OTHER_RATES:
        if (value := given.get(name)) is not None and value is not False:
            raise ValueError(f"{name} changes the rates, and is none of Trainer's arguments: got {abbreviate(value)}")
    if not isinstance(arguments, Mapping):
        return
    for name in map(str, arguments):
        if name not in NAMES and name not in OTHER_RATES and (meant := _meant(name, decisive)):
            raise ValueError(f"{name} is none of Trainer's arguments: is {meant} meant?")


def _meant(name: str, decisive: Iterable[str]) -> str | None:
    """The decisive arguments that a name begins, or is nearest to; None where it is like none."""
    beginning = sorted(each for each in decisive if len(name) >= _LEAST and each.startswith(name))
    return " or ".join(beginning or near_names(name, decisive, most=1, alike=ALIKE)) or None
