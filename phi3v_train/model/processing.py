"""The processor of Phi-3.5-vision: texts with image tags, and their images, to what the model reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin

from .call_options import check_names, keyword_names, options_in_groups, truncates
from .chat_images import conversation_images, number_images
from .hub_files import write_hub_form
from .image_processing import Phi3VImageProcessor
from .tags import PromptError, image_tag, split_prompts, without_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from .tags import Prompt

__all__ = ["Phi3VProcessor"]


class Phi3VProcessor(ProcessorMixin):
    """Tokenizer and image processor in one.

    Images stand in a text as `<|image_1|>`, `<|image_2|>` …; each becomes as many copies of its negative number as
    the model has embeddings for it. `AutoProcessor` loads it from a folder of the hub or a saved one.

    Args:
        image_processor: Cuts images into crops and counts their tokens.
        tokenizer: The checkpoint's tokenizer, as `PreTrainedTokenizerFast` loads it.
        chat_template: A Jinja template instead of the tokenizer's own.
    """

    def __init__(
        self,
        image_processor: Phi3VImageProcessor,
        tokenizer: PreTrainedTokenizerFast,
        chat_template: str | None = None,
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template or tokenizer.chat_template)

    @classmethod
    def _load_tokenizer_from_pretrained(
        cls, sub_processor_type: str, pretrained_model_name_or_path: Any, subfolder: str = "", **kwargs: Any
    ) -> PreTrainedTokenizerFast:
        """Load the pipeline as it is written; `AutoTokenizer` takes a folder without `config.json` for Llama's."""
        not_ours = {"trust_remote_code", *Phi3VImageProcessor.valid_kwargs.__annotations__}
        kwargs = {name: value for name, value in kwargs.items() if name not in not_ours}
        tokenizer = PreTrainedTokenizerFast.from_pretrained(
            pretrained_model_name_or_path, subfolder=subfolder, **kwargs
        )
        tokenizer.init_kwargs.pop("auto_map", None)  # it names a file of code, which a saved folder does not have
        return tokenizer

    @property
    def model_input_names(self) -> list[str]:
        """What the model's `forward` takes of a batch."""
        return ["input_ids", "attention_mask", "pixel_values", "image_sizes"]

    @property
    def stop_token_ids(self) -> list[int]:
        """Ids of the tokens that end an answer, for `generate(eos_token_id=…)`; the hub's files name neither."""
        return [self.tokenizer.convert_tokens_to_ids(token) for token in ("<|end|>", "<|endoftext|>")]

    def save_pretrained(
        self, save_directory: str | PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> list[str]:
        """Write the processor's files in the form they have on the hub, which transformers 4 and 5 read.

        Args:
            save_directory: The folder; it is made where it is not there.
            push_to_hub: Whether to upload the files too, under `repo_id` or the folder's name.
            **kwargs: See `PushToHubMixin.push_to_hub`.

        Returns:
            The configurations' files.
        """
        super().save_pretrained(save_directory)
        files = write_hub_form(Path(save_directory))
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)
        return files

    @options_in_groups
    def __call__(
        self,
        text: str | Sequence[str],
        images: Any = None,
        *,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        padding_side: str | None = None,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool = True,
        return_tensors: str | None = None,
        **image_options: Any,
    ) -> BatchFeature:
        """Turn texts and their images into the model's input.

        A text that has no images is tokenized whole, and a tag in it is ordinary text. Otherwise it is cut at its
        tags and each piece is tokenized with special tokens, so that a `<s>` follows each image, as in training.

        Args:
            text: One text (a batch of one) or several.
            images: None; one image or a list of them for a single text; for several texts one list of images
                (or None) each, or one flat list that is dealt out by each text's number of tags.
            padding: False, True or "longest", or "max_length".
            truncation: Whether to cut texts that are longer than `max_length`, at the tokenizer's truncation side.
            max_length: In tokens, those of images counted; the tokenizer's own limit where absent.
            padding_side: "left" or "right" instead of the tokenizer's own.
            pad_to_multiple_of: With `padding`, rows are lengthened to the next multiple.
            return_attention_mask: False leaves it out.
            return_tensors: "pt" or "np" for arrays; lists where absent.
            **image_options: Options of the image processor's call, such as `num_crops`; None leaves one as it is set.
                All options may also come in dictionaries named `text_kwargs`, `images_kwargs` and `common_kwargs`.

        Returns:
            `input_ids` and `attention_mask`, (batch, sequence), int64 as tensors; image n of a row is copies of -n.
            With images also `pixel_values` and `image_sizes` as the image processor makes them: all rows' images
            in order, those of a row in the order in which their tags appear, which is the order the model needs.

        Raises:
            PromptError: A text's tags are not exactly those of its images, an image is None, or cutting a text would
                cut an image.
            TypeError: An option is unknown, or given twice.
            ValueError: An option's value is not possible.
        """
        cuts = truncates(truncation, padding, max_length)
        texts = [text] if isinstance(text, str) else list(text)
        prompts = split_prompts(texts, images)
        pixels, counts = self._pixels(prompts, return_tensors, **image_options)
        rows = [self._encode(prompt, counts) for prompt in prompts]
        if cuts:
            limit = self.tokenizer.model_max_length if max_length is None else max_length
            rows = [self._truncate(row, limit) for row in rows]
        encoded = self.tokenizer.pad(
            {"input_ids": rows},
            padding=padding,
            max_length=max_length if padding == "max_length" else None,
            padding_side=padding_side,
            pad_to_multiple_of=pad_to_multiple_of,
            return_attention_mask=return_attention_mask,
        )
        return BatchFeature({**encoded, **pixels}, tensor_type=return_tensors)

    def apply_chat_template(
        self,
        conversation: Any,
        chat_template: str | None = None,
        *,
        tokenize: bool = False,
        processor_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Write a conversation, or several, as the prompt the model was trained on; see transformers for the options.

        Args:
            conversation: Messages, or a list of conversations. A content is a string, used as it is, or a list of
                blocks: `{"type": "text", "text": …}` and `{"type": "image", "image": …}`, or `"path"`, `"url"` or
                `"base64"` instead, or `{"type": "image_url", "image_url": {"url": …}}`. Images become tags on lines
                of their own, numbered through the conversation.
            chat_template: A Jinja template instead of the processor's own.
            tokenize: Whether to go on to token ids; images are opened, and fetched from the web, only then.
            processor_kwargs: Arguments of this processor's call, for `tokenize=True`. `images` among them stand in
                for those of the conversation.
            **kwargs: See `ProcessorMixin.apply_chat_template`.

        Returns:
            Text; with `tokenize=True` token ids, or all inputs of the model with `return_dict=True` too.

        Raises:
            PromptError: A block is neither text nor image, or an image's block does not hold it when it is needed.
            UnreadableImage: An image cannot be opened or fetched.
        """
        batched = isinstance(conversation[0], (list, tuple))
        numbered = [
            number_images(messages, f" of conversation {number}" if batched else "")
            for number, messages in enumerate(conversation if batched else [conversation], 1)
        ]
        options = dict(processor_kwargs or {})
        given = kwargs.pop("images", options.pop("images", None))
        if tokenize:
            rows = conversation_images(numbered, given)
            options["images"] = rows if batched else rows[0]
        texts = [messages for messages, _ in numbered]
        return super().apply_chat_template(
            texts if batched else texts[0], chat_template, tokenize=tokenize, processor_kwargs=options, **kwargs
        )

    def decode(self, token_ids: Any, *args: Any, **kwargs: Any) -> Any:
        """Decode one row of ids, or several; those of images (and -100, which labels have) are left out."""
        return self.tokenizer.decode(without_images(token_ids), *args, **kwargs)

    def batch_decode(self, sequences: Any, *args: Any, **kwargs: Any) -> list[str]:
        """Decode rows of ids, such as `generate` returns; see `decode`."""
        return self.tokenizer.batch_decode(without_images(sequences), *args, **kwargs)

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **kwargs: Any
    ) -> list[str]:
        """Decode rows of ids as the pipelines of transformers ask for it."""
        return self.batch_decode(generated_outputs, skip_special_tokens=skip_special_tokens, **kwargs)

    def _pixels(
        self, prompts: Sequence[Prompt], return_tensors: str | None, **options: Any
    ) -> tuple[dict[str, Any], Iterator[int]]:
        """Process all images at once; returns the model's inputs, and each image's number of tokens."""
        images = [image for prompt in prompts for image in prompt.images]
        options = {name: value for name, value in options.items() if value is not None}
        known = keyword_names(self.image_processor.preprocess)
        check_names(options, [*known, *keyword_names(self.__call__)])  # even without images
        if not images:
            return {}, iter(())
        pixels = self.image_processor(images, return_tensors=return_tensors, **options)
        return {name: pixels[name] for name in ("pixel_values", "image_sizes")}, iter(pixels["num_img_tokens"])

    def _encode(self, prompt: Prompt, counts: Iterator[int]) -> list[int]:
        """Tokenize each piece with special tokens and put the images between them."""
        first, *others = self.tokenizer(prompt.chunks)["input_ids"]
        ids: list[int] = list(first)
        for tag, chunk in zip(prompt.tags, others, strict=True):
            ids += [-tag] * next(counts) + chunk
        return ids

    def _truncate(self, ids: list[int], max_length: int) -> list[int]:
        """Cut a row as the tokenizer would cut a text (`<s>` stays at its head), but never into an image."""
        if len(ids) <= max_length:
            return ids
        start, stop = max_length, len(ids)
        if self.tokenizer.truncation_side == "left":
            start = int(ids[0] == self.tokenizer.bos_token_id)
            stop = start + len(ids) - max_length
        if image := next((-token for token in ids[start:stop] if token < 0), None):
            raise PromptError(
                f"cutting the text to max_length {max_length} would cut {image_tag(image)}, which takes "
                f"{ids.count(-image)} of its {len(ids)} tokens: allow a greater max_length, or fewer num_crops"
            )
        return ids[:start] + ids[stop:]
