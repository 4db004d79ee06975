import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.LlamaOutput;
import de.kherud.llama.ModelParameters;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Measures llama.cpp through its JNI binding; llama-jni.sh starts it. Prints one JSON line, as the
 * other peers do.
 */
class LlamaJni {
  public static void main(String[] args) throws Exception {
    String file = args[0];
    int threads = args.length > 1 ? Integer.parseInt(args[1]) : 2;
    int promptTokens = args.length > 2 ? Integer.parseInt(args[2]) : 512;
    int decodeTokens = args.length > 3 ? Integer.parseInt(args[3]) : 64;
    int rounds = args.length > 4 ? Integer.parseInt(args[4]) : 3;
    long started = System.nanoTime();
    try (LlamaModel model =
        new LlamaModel(
            new ModelParameters()
                .setModel(file)
                .setThreads(threads)
                .setThreadsBatch(threads)
                .setCtxSize(promptTokens + decodeTokens + 8)
                .setBatchSize(512)
                .setUbatchSize(512))) {
      double load = seconds(started);
      double[] prefill = new double[rounds];
      double[] decode = new double[rounds];
      for (int round = 0; round < rounds; round++) {
        // A prompt that differs from the first character on, so that no cached prefix answers for
        // it.
        String prompt = prompt(model, (char) ('a' + round), promptTokens);
        int tokens = model.encode(prompt).length;
        InferenceParameters ask =
            new InferenceParameters(prompt)
                .setTemperature(0)
                .setNPredict(decodeTokens)
                .setIgnoreEos(true)
                .setCachePrompt(false);
        long from = System.nanoTime();
        long first = 0;
        int count = 0;
        for (LlamaOutput output : model.generate(ask)) {
          if (count++ == 0) {
            first = System.nanoTime();
            prefill[round] = tokens / ((first - from) / 1e9);
          }
        }
        decode[round] = (count - 1) / seconds(first);
      }
      Arrays.sort(prefill);
      Arrays.sort(decode);
      long peak =
          Files.readAllLines(Path.of("/proc/self/status")).stream()
              .filter(l -> l.startsWith("VmHWM"))
              .mapToLong(l -> Long.parseLong(l.replaceAll("\\D+", "")) * 1024)
              .findFirst()
              .orElse(0);
      System.out.printf(
          "{\"engine\":\"llama.cpp (JNI, de.kherud:llama"
              + " 4.2.0)\",\"file\":\"%s\",\"threads\":%d,\"prefill\":%.2f,\"decode\":%.2f,\"loadSeconds\":%.2f,\"peakResidentBytes\":%d}%n",
          file, threads, prefill[rounds / 2], decode[rounds / 2], load, peak);
      System.out.flush();
      // Closing the model can wait for ever on the binding's own threads.
      Runtime.getRuntime().halt(0);
    }
  }

  private static String prompt(LlamaModel model, char first, int tokens) {
    StringBuilder text = new StringBuilder().append(first);
    while (model.encode(text.toString()).length < tokens) {
      text.append(' ').append((char) ('a' + text.length() * 7 % 26));
    }
    return text.toString();
  }

  private static double seconds(long from) {
    return (System.nanoTime() - from) / 1e9;
  }
}
