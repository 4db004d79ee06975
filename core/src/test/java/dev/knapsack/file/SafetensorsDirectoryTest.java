package dev.knapsack.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.knapsack.TestData;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Directories that are not whole, damaged, hostile, or of a kind that is not supported. */
class SafetensorsDirectoryTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path folder;

  @BeforeEach
  void write() throws IOException {
    try (ModelFile gguf = ModelFile.open(TestData.path("golden/llama/model.gguf"))) {
      SafetensorsFixture.write(gguf, folder, 2);
    }
  }

  private void refused(String message) {
    assertThatThrownBy(
            () -> {
              try (ModelFile file = ModelFile.open(folder)) {
                Tokenizer.of(file);
              }
            })
        .isInstanceOf(ModelFileException.class)
        .hasMessageContaining(message);
  }

  private void replace(String file, String from, String to) throws IOException {
    Path path = folder.resolve(file);
    String text = Files.readString(path);
    assertThat(text).contains(from);
    Files.writeString(path, text.replace(from, to));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json"
      })
  void anyOfItsFilesMeansTheWholeModel(String named) {
    try (ModelFile whole = ModelFile.open(folder);
        ModelFile model = ModelFile.open(folder.resolve(named))) {
      assertThat(model.path()).isEqualTo(folder);
      assertThat(model.tensors()).isEqualTo(whole.tensors());
      assertThat(model.files())
          .containsExactly(
              folder.resolve("model-00001-of-00002.safetensors"),
              folder.resolve("model-00002-of-00002.safetensors"));
    }
  }

  @Test
  void aPartOfAnotherModelIsNamed() throws IOException {
    Path second = folder.resolve("model-00002-of-00002.safetensors");
    Files.copy(
        folder.resolve("model-00001-of-00002.safetensors"),
        second,
        StandardCopyOption.REPLACE_EXISTING);
    refused(second + ": ");
    refused("is not in this file, where model.safetensors.index.json has it");
  }

  @Test
  void aDirectoryWithoutWeightsIsNoModel() throws IOException {
    Files.delete(folder.resolve("model-00002-of-00002.safetensors"));
    refused("model-00002-of-00002.safetensors: file: there is no such file");
    Files.delete(folder.resolve("model.safetensors.index.json"));
    refused("has neither model.safetensors nor model.safetensors.index.json");
    Files.delete(folder.resolve("config.json"));
    refused("config.json: file: there is no such file");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "config.json | \"model_type\":\"llama\" | \"model_type\":\"rwkv\" | 'rwkv' is not"
            + " supported; supported are Dream",
        "config.json | \"model_type\":\"llama\" |"
            + " \"model_type\":\"llama\",\"quantization_config\":{\"quant_method\":\"awq\"} |"
            + " weights quantised by 'awq'",
        "config.json | \"model_type\":\"llama\" |"
            + " \"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"ntk\"} | type 'ntk';"
            + " supported are",
        "config.json | \"hidden_size\":64 | \"hidden_size\":[64] | hidden_size: must be one value",
        "config.json | \"hidden_size\":64 | \"hidden_size\":-64 | hidden_size: must be between 0"
            + " and",
        "config.json | \"hidden_size\":64 | \"hidden_size\":\"many\" | hidden_size: must be a"
            + " whole number",
        "model.safetensors.index.json | model-00001-of | ../model-00001-of | is no safetensors file"
            + " of this directory",
        "model.safetensors.index.json | weight_map | weight_man | weight_map: is missing or empty",
        "tokenizer.json | \"type\":\"BPE\" | \"type\":\"Unigram\" | model.vocab: tokens have scores"
            + " in a Unigram model alone",
        "tokenizer.json | \"type\":\"BPE\" | \"type\":\"Bigram\" | model.type: 'Bigram' is not"
            + " supported; supported are BPE, Unigram, WordLevel, WordPiece",
        "tokenizer.json | \"type\":\"Prepend\" | \"type\":\"Append\" |"
            + " normalizer.normalizers[0].type: 'Append' is not supported; supported are"
            + " BertNormalizer",
        "tokenizer.json | \"id\":2 | \"id\":4000000000 | token id 4000000000 is out of range",
        "tokenizer.json | { | [ | cannot be read as JSON",
        "tokenizer_config.json | { | [[[ | cannot be read as JSON"
      })
  void whatIsWrongIsNamed(String file, String from, String to, String message) throws IOException {
    replace(file, from, to);
    refused(message);
  }

  @Test
  void whatGgufHasNoWordsForIsNotWritten() throws IOException {
    try (ModelFile file = ModelFile.open(folder)) {
      assertThat(file.metadata().has("tokenizer.ggml.tokens")).isFalse();
      assertThat(file.ggufMetadata().strings("tokenizer.ggml.tokens")).hasSizeGreaterThan(300);
      assertThat(file.ggufNotes()).isEmpty();
    }
    replace("tokenizer.json", "\"content\":\"<s>\"", "\"rstrip\":true,\"content\":\"<s>\"");
    try (ModelFile file = ModelFile.open(folder)) {
      assertThat(file.ggufNotes()).singleElement().asString().contains("beside <s>: who reads");
    }
    replace("tokenizer.json", "\"type\":\"Prepend\"", "\"type\":\"Lowercase\"");
    try (ModelFile file = ModelFile.open(folder)) {
      assertThat(Tokenizer.of(file).size()).isPositive();
      assertThatThrownBy(file::ggufMetadata)
          .isInstanceOf(ModelFileException.class)
          .hasMessageContaining("normalizer: Lowercase cannot be written in a GGUF file");
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"F32\" | \"I32\" | dtype I32; F32, F16 and BF16 are supported here",
        "\"F32\" | \"Q32\" | dtype 'Q32' is not known",
        "\"F32\" | \"BF16\" | needs",
        "lm_head.weight | ln_head.weight | no tensor of this name is known in a model like llama",
        "[64] | [-4] | must be short lists of positive numbers",
        "\"__metadata__\":{ | \"__metadata__\":[ | cannot be read as JSON"
      })
  void aDamagedHeaderIsNamed(String from, String to, String message) throws IOException {
    Path shard = folder.resolve("model-00001-of-00002.safetensors");
    String latin = Files.readString(shard, StandardCharsets.ISO_8859_1);
    assertThat(latin).contains(from);
    // The length of the header stays: blanks may follow the JSON.
    String changed = latin.replaceFirst(Pattern.quote(from), to);
    int grown = changed.length() - latin.length();
    byte[] bytes = changed.getBytes(StandardCharsets.ISO_8859_1);
    ByteBuffer view = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    view.putLong(0, view.getLong(0) + grown);
    Files.write(shard, bytes);
    refused(message);
  }

  @Test
  void answersEndWhereGenerationIsToEnd() throws IOException {
    Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": [2, 17, 999]}");
    try (ModelFile file = ModelFile.open(folder)) {
      Tokenizer tokenizer = Tokenizer.of(file);
      assertThat(tokenizer.eos()).isEqualTo(2);
      assertThat(tokenizer.endTokens()).contains(2, 17);
      assertThat(tokenizer.isControl(17)).isTrue();
      assertThat(tokenizer.notes()).singleElement().asString().contains("has 999");
      assertThat(file.metadata().integer("tokenizer.ggml.eot_token_id")).isEqualTo(17);
    }
  }

  @Test
  void aTruncatedShardIsNamed() throws IOException {
    Path shard = folder.resolve("model-00001-of-00002.safetensors");
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, Arrays.copyOf(bytes, bytes.length - 1));
    refused("model-00001-of-00002.safetensors");
    Files.write(shard, Arrays.copyOf(bytes, 100));
    refused("header length");
    Files.write(shard, new byte[5]);
    refused("header length: needs 8 bytes");
  }

  @ParameterizedTest
  @CsvSource({"1, 6000", "2, 6000"})
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aMutatedHeaderIsReadOrRefused(long seed, int times) throws IOException {
    byte[] whole = Files.readAllBytes(folder.resolve("model-00001-of-00002.safetensors"));
    long header = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong(0) + 8;
    Random random = new Random(seed);
    int read = 0;
    for (int i = 0; i < times; i++) {
      byte[] damaged = damage(whole, (int) header, random);
      long before = THREADS.getCurrentThreadAllocatedBytes();
      try {
        SafetensorsHeader parsed =
            SafetensorsHeader.read(GgufBytes.NAME, GgufBytes.source(damaged));
        parsed
            .tensors()
            .values()
            .forEach(t ->
                assertThat(t.offset() + t.bytes()).isBetween(t.offset(), (long) damaged.length));
        read++;
      } catch (ModelFileException refused) {
        assertThat(refused).hasMessageStartingWith("hostile.gguf: ");
      }
      assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(2_000_000);
    }
    assertThat(read).isBetween(1, times - 1);
  }

  @ParameterizedTest
  @CsvSource({
    "3, config.json, 150",
    "4, tokenizer.json, 150",
    "5, tokenizer_config.json, 60",
    "6, model.safetensors.index.json, 60"
  })
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aMutatedDescriptionIsReadOrRefused(long seed, String name, int times) throws IOException {
    Path path = folder.resolve(name);
    byte[] whole = Files.readAllBytes(path);
    Random random = new Random(seed);
    for (int i = 0; i < times; i++) {
      Files.write(path, damage(whole, whole.length, random));
      try (ModelFile file = ModelFile.open(folder)) {
        assertThat(file.tensors()).isNotEmpty();
        Tokenizer.of(file).encode("the house", true, true);
      } catch (ModelFileException refused) {
        assertThat(refused.getMessage()).isNotBlank();
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed + ", round " + i, e);
      }
    }
  }

  private static byte[] damage(byte[] whole, int part, Random random) {
    byte[] bytes = whole.clone();
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      int at = random.nextInt(part);
      switch (random.nextInt(5)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) "0123456789{}[],:\"-eE.\\u".charAt(random.nextInt(23));
        case 2 -> {
          byte[] large = "999999999999999999999".getBytes(StandardCharsets.US_ASCII);
          int length = Math.min(random.nextInt(large.length), part - at);
          System.arraycopy(large, 0, bytes, at, length);
        }
        case 3 -> {
          int other = random.nextInt(part);
          int length = Math.min(random.nextInt(40), part - Math.max(at, other));
          System.arraycopy(bytes, other, bytes, at, length);
        }
        default -> {
          if (random.nextInt(6) == 0) {
            bytes = Arrays.copyOf(bytes, Math.max(part / 2, random.nextInt(bytes.length)));
            part = Math.min(part, bytes.length);
          } else if (at < 8 || random.nextInt(10) == 0) {
            bytes[random.nextInt(8)] = (byte) random.nextInt();
          }
        }
      }
    }
    return bytes;
  }
}
