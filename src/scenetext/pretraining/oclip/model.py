"""The oCLIP model: image encoder, text encoder and decoder under the parameter names of published checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.encoders.image_words import ImageWordModel
from scenetext.encoders.pooled import pooled_encoder
from scenetext.encoders.word_encoder import encode_packed, pack_words, real_words, unpack_words
from scenetext.layers.contrastive import inverse_temperature
from scenetext.layers.cross_attention import CrossAttentionDecoder
from scenetext.layers.transformer import initialise_blocks, resize_positions
from scenetext.pretraining.oclip.config import OclipSettings


@dataclass(frozen=True, slots=True, eq=False)
class OclipOutputs:
    """What the model computes for a batch.

    Attributes:
        image_features, text_features: (B, D), unit length; the text feature of an image without words is zero when
            words are pooled.
        character_logits: (B, N, V) for the hidden character of every slot; None in the first stage.
        logit_scale: scalar, inverse of the contrastive temperature.
        has_words: (B,) bool, whether the image has any word.
        image_tokens: (B, 1 + h * w, D), as `OclipModel.encode_image` gives them; None in the first stage.
        word_embeddings: (B, N, D), as `OclipModel.encode_words` gives them.
        looks: (blocks, B, N, h * w) float32, where every block of the decoder looks, mean over heads, with gradients;
            None where the loss has no use for it.
    """

    image_features: Tensor
    text_features: Tensor
    character_logits: Tensor | None
    logit_scale: Tensor
    has_words: Tensor
    image_tokens: Tensor | None
    word_embeddings: Tensor
    looks: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMaps:
    """Where the model looks; float32, mean over heads, every row sums to 1.

    Attributes:
        grid: rows h and columns w of the image tokens.
        image: (B, 1 + h * w, 1 + h * w), attention pool; row and column 0 are the mean position.
        words: (B, N, h * w), last decoder block; None in the first stage.
        character_logits: (B, N, V), as `OclipOutputs`.
    """

    grid: tuple[int, int]
    image: Tensor
    words: Tensor | None
    character_logits: Tensor | None


class OclipModel(ImageWordModel):
    """oCLIP (Xue et al., ECCV 2022).

    Shapes: B images, N word slots, K character slots, D joint width, V vocabulary. The first-stage model has no decoder
    and gives no characters.

    Args:
        settings: sizes and options; `characters` is not used.
        vocabulary_size: V, at least C + 3.
    """

    settings: OclipSettings

    def __init__(self, settings: OclipSettings, vocabulary_size: int) -> None:
        super().__init__()
        self.settings = settings
        width, joint = settings.text_width, settings.embed_dim
        self.visual = pooled_encoder(settings.encoder, settings.grid, joint)
        self.build_text_side(settings, vocabulary_size)
        if not settings.first_stage:
            self.image_pos = nn.Parameter(torch.empty(settings.grid**2, joint))
            self.transformer_decoder = CrossAttentionDecoder(joint, settings.decoder_layers, settings.decoder_heads)
            self.ln_final_decoder = nn.LayerNorm(joint)
            self.text_class = nn.Linear(joint, vocabulary_size)
            nn.init.normal_(self.image_pos, std=0.01)
            initialise_blocks(self.transformer_decoder, width, settings.text_layers)
            nn.init.normal_(self.text_class.weight, std=width**-0.5)

    def forward(self, images: Tensor, characters: Tensor, image_mask: Tensor | None = None) -> OclipOutputs:
        """Features of images and of their words, and the hidden characters.

        Args:
            images: (B, 3, H, W) float, normalised with `visual.pixel_mean` and `pixel_std`.
            characters: (B, N, K) int64 ids, see `encode_words` of `targets`; all 0 = empty slot.
            image_mask: (B, H / 32, W / 32) bool, true where the image is padding; masked out in the decoder.
        """
        if self.settings.first_stage:
            return self.features(images, characters)
        words = self.encode_words(characters)
        last_level = self.visual(images).levels[-1]
        tokens = self.image_tokens(self.visual.attnpool, last_level)
        seen = self._keys_and_values(tokens, image_mask, (last_level.shape[-2], last_level.shape[-1]))
        looks = None
        if self.settings.loss_weights["place"]:
            decoded, looks = self.transformer_decoder.with_weights(words, *seen)
        else:
            decoded = self.transformer_decoder(words, *seen)
        outputs = self._outputs(words, real_words(characters), tokens[:, 0], tokens, self._classify(decoded))
        return replace(outputs, looks=looks)

    def features(self, images: Tensor, characters: Tensor) -> OclipOutputs:
        """The features of the contrastive loss, without tokens and characters; arguments as in `forward`."""
        image_feature = self.visual.attnpool.global_feature(self.visual(images).levels[-1])
        return self._outputs(self.encode_words(characters), real_words(characters), image_feature, None, None)

    def _outputs(
        self, words: Tensor, real: Tensor, image_feature: Tensor, tokens: Tensor | None, logits: Tensor | None
    ) -> OclipOutputs:
        """Word embeddings (B, N, D), real slots (B, N), image features (B, D), and what else there is."""
        return OclipOutputs(
            image_features=F.normalize(image_feature.float(), dim=-1),
            text_features=F.normalize(self.pool_words(words.float(), real), dim=-1),
            character_logits=logits,
            logit_scale=inverse_temperature(self.logit_scale, self.settings.clamp_logit_scale, self.training),
            has_words=real.any(dim=1),
            image_tokens=tokens,
            word_embeddings=words,
        )

    def encode_image(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> tokens (B, 1 + h * w, D), h * w the grid at stride 32; the mean position comes first."""
        return self.image_tokens(self.visual.attnpool, self.visual(images).levels[-1])

    def encode_words(self, characters: Tensor) -> Tensor:
        """(B, N, K) ids -> word embeddings (B, N, D), not normalised; each word alone, empty slots one constant."""
        batch, slots, _ = characters.shape
        packed = pack_words(characters)
        features = encode_packed(
            packed, self.token_embedding, self.positional_embedding, self.transformer, self.ln_final
        )
        return unpack_words(features @ self.text_projection, packed, (batch, slots))

    def decode_characters(
        self,
        word_embeddings: Tensor,
        image_tokens: Tensor,
        image_mask: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """The hidden characters of words, read from images; words may be paired with any images.

        Args:
            word_embeddings: (B, N, D), of `encode_words`.
            image_tokens: (B, 1 + h * w, D), of `encode_image`.
            image_mask: (B, h, w) bool, true = padding.
            grid: (h, w); None = that of the mask, else a square.

        Returns:
            (B, N, V) logits.
        """
        keys, values, ignored = self._keys_and_values(image_tokens, image_mask, grid)
        return self._classify(self.transformer_decoder(word_embeddings, keys, values, ignored))

    def attention_maps(self, images: Tensor, characters: Tensor, image_mask: Tensor | None = None) -> AttentionMaps:
        """Where the model looks, for drawing; arguments as in `forward`. Call it without gradients."""
        last_level = self.visual(images).levels[-1]
        grid = (last_level.shape[-2], last_level.shape[-1])
        image = self.visual.attnpool.weights(last_level)
        if self.settings.first_stage:
            return AttentionMaps(grid, image, None, None)
        words = self.encode_words(characters)
        seen = self._keys_and_values(self.image_tokens(self.visual.attnpool, last_level), image_mask, grid)
        return AttentionMaps(
            grid=grid,
            image=image,
            words=self.transformer_decoder.last_weights(words, *seen),
            character_logits=self._classify(self.transformer_decoder(words, *seen)),
        )

    def _classify(self, decoded: Tensor) -> Tensor:
        return self.text_class(self.ln_final_decoder(decoded))

    def _keys_and_values(
        self, image_tokens: Tensor, image_mask: Tensor | None, grid: tuple[int, int] | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys (with positions), values and ignored positions (B, h * w) of the decoder; without the mean position."""
        values = image_tokens[:, 1:]
        ignored = None
        if image_mask is not None:
            grid = grid or (image_mask.shape[1], image_mask.shape[2])
            ignored = image_mask.flatten(1)
            # A softmax over nothing is not a number: an image that is all padding is used as if it had none.
            ignored = ignored & ~ignored.all(dim=1, keepdim=True)
        side = math.isqrt(values.shape[1])
        height, width = grid or (side, side)
        if height * width != values.shape[1]:
            raise ValueError(f"{values.shape[1]} image tokens do not fill a grid of {height} x {width}; pass `grid`")
        positions = resize_positions(self.image_pos, height, width)
        return values + positions.to(values.dtype), values, ignored
