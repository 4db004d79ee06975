import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.OnnxEmbeddingModel;
import dev.langchain4j.model.embedding.onnx.PoolingMode;
import dev.langchain4j.model.embedding.onnx.allminilml6v2.AllMiniLmL6V2EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.allminilml6v2q.AllMiniLmL6V2QuantizedEmbeddingModel;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Makes vectors of the lines of a file, again for each file that is named on standard input, and
 * prints one JSON line for each, as dev.knapsack.bench.Embeddings does; langchain4j-minilm.sh starts
 * it.
 *
 * <p>{@code stock} is LangChain4j's own class, which reads the first 128 tokens of a text; {@code
 * whole} is its class for files of one's own, on the same files without the tokenizer's cut.
 */
class LangChain4jMiniLm {
  public static void main(String[] args) throws Exception {
    boolean quantised = args[0].equals("q");
    EmbeddingModel model =
        args[1].equals("whole")
            ? whole(quantised ? "all-minilm-l6-v2-q" : "all-minilm-l6-v2")
            : quantised
                ? new AllMiniLmL6V2QuantizedEmbeddingModel()
                : new AllMiniLmL6V2EmbeddingModel();
    BufferedReader files = new BufferedReader(new InputStreamReader(System.in));
    for (String file = files.readLine(); file != null; file = files.readLine()) {
      List<TextSegment> texts =
          Files.readAllLines(Path.of(file)).stream().map(TextSegment::from).toList();
      double cpu = cpu();
      long begin = System.nanoTime();
      int vectors = model.embedAll(texts).content().size();
      double seconds = (System.nanoTime() - begin) / 1e9;
      System.out.printf(
          "{\"vectors\":%d,\"seconds\":%.4f,\"cpuSeconds\":%.4f,\"residentBytes\":%d,\"peakResidentBytes\":%d}%n",
          vectors, seconds, cpu() - cpu, status("VmRSS"), status("VmHWM"));
      System.out.flush();
    }
  }

  private static EmbeddingModel whole(String name) throws IOException {
    Path folder = Files.createTempDirectory("minilm");
    Path model = folder.resolve("model.onnx");
    Path tokenizer = folder.resolve("tokenizer.json");
    try (InputStream in = LangChain4jMiniLm.class.getResourceAsStream("/" + name + ".onnx")) {
      Files.copy(in, model);
    }
    try (InputStream in =
        LangChain4jMiniLm.class.getResourceAsStream("/" + name + "-tokenizer.json")) {
      String json = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      Files.writeString(
          tokenizer,
          json.replaceFirst(
              "(?s)\"truncation\": \\{.*?\\},\\s*\"padding\": \\{.*?\\},\\s*\"added_tokens\"",
              "\"truncation\": null, \"padding\": null, \"added_tokens\""));
    }
    EmbeddingModel opened = new OnnxEmbeddingModel(model, tokenizer, PoolingMode.MEAN);
    Files.delete(model);
    Files.delete(tokenizer);
    Files.delete(folder);
    return opened;
  }

  /** Of all threads, so far. */
  private static double cpu() {
    return ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos() / 1e9;
  }

  private static long status(String key) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith(key))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", "")) * 1024)
        .findFirst()
        .orElse(0);
  }
}
