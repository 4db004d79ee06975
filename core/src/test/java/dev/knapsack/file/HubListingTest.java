package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which files of a repository an address means. */
class HubListingTest {
  private static List<String> chosen(String address, String... files) {
    List<HubListing.Entry> entries =
        Stream.of(files).map(f -> new HubListing.Entry(f, Optional.empty())).toList();
    return new HubListing((ModelAddress.Hub) ModelAddress.parse(address), entries)
        .choose().stream().map(HubListing.Entry::name).toList();
  }

  @ParameterizedTest
  @CsvSource({
    "hf:o/r, only.gguf, README.md only.gguf",
    "hf:o/r, m-Q4_K_M.gguf, m-Q8_0.gguf m-Q4_0.gguf m-Q4_K_M.gguf mmproj-Q4_K_M.gguf",
    "hf:o/r, m-q4_0.gguf, m-q8_0.gguf m-q4_0.gguf",
    "hf:o/r, m-Q8_0.gguf, m-Q4_0_4_4.gguf m-Q4_K_M_L.gguf m-Q8_0.gguf",
    "hf:o/r, m-Q5_K_M.gguf, m-Q5_K_M.gguf imatrix.gguf m.imatrix.gguf m-mmproj-f16.gguf",
    "hf:o/r, m-Q5_K_M.gguf, m-Q5_K_M.gguf m-lora-f16.gguf ggml-vocab-m.gguf m-Q5_K_M-adapter.gguf",
    "hf:o/r, alpaca-lora-Q5_1.gguf, alpaca-lora-Q5_1.gguf imatrix_x.gguf",
    "hf:o/r:q5_k_m, sub/m-Q5_K_M.gguf, m-Q8_0.gguf sub/m-Q5_K_M.gguf",
    "hf:o/r:m.gguf, m.gguf, m.gguf big-m.gguf sub/m.gguf",
    "hf:o/r:m-Q8_0.gguf, sub/m-Q8_0.gguf, m.gguf sub/m-Q8_0.gguf",
    "hf:o/r:Q6_K, m-Q6_K.gguf, m-Q6_K_L.gguf m-Q6_K.gguf",
    "hf:o/r:F16, m-F16.gguf, m-BF16.gguf m-F16.gguf m-Q8_0-F16.gguf",
    "hf:o/r:bf16, m-BF16.gguf, m-BF16.gguf m-F16.gguf",
    "hf:o/r:Q4_0, m.q4_0.gguf, m.q4_0.gguf m.q4_0_4_4.gguf m.iq4_0.gguf m.tq4_0.gguf",
    "hf:o/r:Q2_K, m_q2_k.gguf, m_q2_k.gguf m_q2_k_l.gguf Q2_K/m-Q3_K.gguf",
    "hf:o/r:IQ4_XS, m.i1-IQ4_XS.gguf, m.i1-IQ4_XS.gguf m.i1-Q4_K_S.gguf",
    "hf:o/r:Q4_K_XL, m-Q4_K_XL.gguf, m-UD-Q4_K_XL.gguf m-Q4_K_XL.gguf",
    "hf:o/r:UD-Q4_K_XL, m-UD-Q4_K_XL.gguf, m-UD-Q4_K_XL.gguf m-Q4_K_XL.gguf",
    "hf:o/r:Q4_K_M, m-Q4_K_M.gguf, m-Q4_K_M-v2.gguf m-Q4_K_M.gguf",
    "hf:o/r:Q8_0, Q8_0/m.gguf, Q8_0/m.gguf Q4_0/m.gguf",
    "hf:o/r:13b, m-13b-q4_0.gguf, m-13b-q4_0.gguf m-130b-q4_0.gguf m-7b-q4_0.gguf",
    "hf:o/r:tiny-q6_k, Tiny-Q6_K.gguf, Tiny-Q6_K.gguf Tiny-Q6_K_L.gguf",
    "hf:o/r:mxfp4, m-MXFP4.gguf, m-MXFP4.gguf m-MXFP4_MOE.gguf",
    "hf:o/r:TQ1_0, m-TQ1_0.gguf, m-TQ1_0.gguf m-TQ2_0.gguf m-Q1_0.gguf"
  })
  void oneFileIsMeant(String address, String expected, String files) {
    assertThat(chosen(address, files.split(" "))).containsExactly(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "hf:o/r, several files could be meant, a-Q6_K.gguf b-Q6_K.gguf",
    "hf:o/r:Q6_K, several files have that name or label, a-Q6_K.gguf b-Q6_K.gguf",
    "hf:o/r:Q6, 'no GGUF file of that name or label. Name one as hf:OWNER/REPO:LABEL, of Q5_K,"
        + " Q6_K,', a-Q6_K.gguf b-Q5_K.gguf",
    "hf:o/r:imatrix, no GGUF file of that name or label, a-Q6_K.gguf",
    "hf:o/r:b.gguf, no GGUF file of that name or label, a-b.gguf",
    "hf:o/r, holds neither a GGUF file nor, a-Q6_K.bin b-Q6_K.bin",
    "hf:o/r, holds neither a GGUF file nor, model.safetensors README.md"
  })
  void whatCouldBeMeantIsListed(String address, String problem, String files) {
    assertThatThrownBy(() -> chosen(address, files.split(" ")))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining(problem)
        .hasMessageContaining(files.replace(" ", "\n  "));
  }

  @ParameterizedTest
  @CsvSource({
    "hf:o/r:Q8_0",
    "hf:o/r:q/m-Q8_0-00002-of-00003.gguf",
    "hf:o/r:m-Q8_0-00003-of-00003.gguf"
  })
  void allPartsAreMeantByAnyInTheirOrder(String address) {
    String[] files = {
      "q/m-Q8_0-00003-of-00003.gguf",
      "q/m-Q8_0-00001-of-00003.gguf",
      "q/m-Q8_0-00002-of-00003.gguf",
      "q/m-Q8_0-00001-of-00002.gguf.part",
      "q/m-Q4_0-00001-of-00002.gguf"
    };
    assertThat(chosen(address, files)).containsExactly(files[1], files[2], files[0]);
    assertThatThrownBy(() -> chosen("hf:o/r:Q4_0", files))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("q/m-Q4_0-00002-of-00002.gguf is missing: the model has 2 parts");
  }

  @Test
  void aSafetensorsModelIsAllThatBelongsToIt() {
    assertThat(
            chosen(
                "hf:o/r",
                "README.md",
                "config.json",
                "generation_config.json",
                "chat_template.json",
                "chat_template.jinja",
                "additional_chat_templates/tool_use.jinja",
                "additional_chat_templates/x.exe",
                "modules.json",
                "1_Pooling/config.json",
                "1_Pooling/notes.txt",
                "2_Dense/config.json",
                "2_Dense/model.safetensors",
                "2_Dense/pytorch_model.bin",
                "sentence_bert_config.json",
                "config_sentence_transformers.json",
                "model-00001-of-000002.safetensors",
                "model-00002-of-000002.safetensors",
                "model.safetensors.index.json",
                "original/model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
                "pytorch_model.bin"))
        .containsExactlyInAnyOrder(
            "config.json",
            "generation_config.json",
            "chat_template.json",
            "chat_template.jinja",
            "additional_chat_templates/tool_use.jinja",
            "modules.json",
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "sentence_bert_config.json",
            "config_sentence_transformers.json",
            "model-00001-of-000002.safetensors",
            "model-00002-of-000002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
            "tokenizer_config.json");
    assertThat(
            chosen(
                "hf:o/r",
                "config.json",
                "model.safetensors",
                "model-00001-of-00002.safetensors",
                "model.safetensors.index.json"))
        .containsExactlyInAnyOrder("config.json", "model.safetensors");
    assertThatThrownBy(() -> chosen("hf:o/r", "config.json", "model-00001-of-00003.safetensors"))
        .isInstanceOf(DownloadException.class)
        .hasMessageContaining("part 2 of 3 of its weights is missing");
  }
}
