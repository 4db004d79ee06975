package dev.knapsack.planner;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Account;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A file of what was measured before, so that a machine is measured once.
 *
 * <p>The rate of reading memory is the exception: on a machine that is shared it changes within
 * minutes, and it decides how fast a large model writes. It is measured again, in less than half a
 * second, for every model that is larger than a processor's caches; and so is the rate of the disk
 * where the model does not fit in the budget and will stream.
 *
 * <p>Figures are kept by processor, kernels and threads; those of a disk by the file system that it
 * holds. What is missing is measured and added; a cache that cannot be read is measured anew.
 * Seconds are spent where that is worth it: for a model that is computed in no time, or where
 * figures cannot be kept, each is measured for a tenth of one. Such rough figures are kept apart.
 */
public final class MachineCache {
  private static final String FILE = "machine.json";

  /** Weights of fewer bytes come from the caches, mostly. */
  private static final long LARGE_MODEL = 256L << 20;

  private static final double QUICK_SECONDS = 0.4;

  /** Weights of fewer bytes are read and multiplied in no time, whatever the figures. */
  private static final long SMALL_MODEL = 64L << 20;

  /** Bytes that measuring needs at the least. */
  private static final long LEAST_BYTES = 4L << 20;

  private static final double ROUGH_SECONDS = 0.1;

  /** Numbers that are whole blocks in every format. */
  private static final long ROW = 2048;

  private final Path directory;
  private final double mostSeconds;
  private final long small;

  /** The reason why nothing could be written; null if it was. */
  private @Nullable JsonObject unwritten;

  /**
   * @param directory where the file is or will be, made if need be
   */
  public MachineCache(Path directory) {
    this(directory, MachineProbe.MOST_SECONDS, SMALL_MODEL);
  }

  /**
   * @param small bytes of weights below which figures are rough
   */
  MachineCache(Path directory, double mostSeconds, long small) {
    this.directory = directory;
    this.mostSeconds = mostSeconds;
    this.small = small;
  }

  /**
   * The machine as far as planning for this model needs it: as measured before, or now.
   *
   * @param account gives memory to measure with, if there is something to measure
   */
  public Machine machine(ModelFile file, Kernels kernels, WorkerTeam team, Account account) {
    JsonObject root = read();
    String processor = MachineProbe.processor();
    String key =
        "%s, %d cores, %s kernels, %d workers"
            .formatted(
                processor,
                Runtime.getRuntime().availableProcessors(),
                kernels.name(),
                team.workers());
    boolean rough = isRough(file);
    JsonObject entry = child(root, rough ? key + ", roughly" : key);
    JsonObject disks = child(rough ? entry : root, "disks");
    String store = store(file.path());

    OptionalDouble memory = number(entry, "memoryBytesPerSecond");
    OptionalDouble disk = number(disks, store);
    Map<String, Machine.Rates> rates = new TreeMap<>();
    JsonObject formats = child(entry, "formats");
    Machine.@Nullable Rates attention = rates(child(entry, "attention"));
    boolean complete = memory.isPresent() && disk.isPresent() && attention != null;
    for (Format format : MachineProbe.formats(file)) {
      Machine.Rates known = rates(child(formats, format.name()));
      if (known != null) {
        rates.put(format.name(), known);
      } else {
        complete = false;
      }
    }
    if (!complete && account.free() < LEAST_BYTES) {
      String format = MachineProbe.formats(file).getFirst().name();
      return Machine.unmeasured(processor, kernels.name(), team.workers(), format);
    }
    if (!complete) {
      double most = rough ? Math.min(mostSeconds, ROUGH_SECONDS) : mostSeconds;
      try (MachineProbe probe = new MachineProbe(kernels, team, account, most)) {
        for (Format format : MachineProbe.formats(file)) {
          if (!rates.containsKey(format.name())) {
            rates.put(format.name(), probe.rates(format));
          }
        }
        if (attention == null) {
          attention = probe.attentionRates();
        }
        if (memory.isEmpty()) {
          double read = probe.memoryBytesPerSecond();
          memory = OptionalDouble.of(rough ? Math.max(read, readByProducts(rates)) : read);
        }
        if (disk.isEmpty()) {
          disk = OptionalDouble.of(probe.diskBytesPerSecond(file));
        }
      }
    }
    Machine machine =
        new Machine(
            processor,
            kernels.name(),
            team.workers(),
            memory.orElseThrow(),
            disk.orElseThrow(),
            Objects.requireNonNull(attention),
            rates);
    if (complete && bytes(file) >= LARGE_MODEL) {
      try (MachineProbe probe = new MachineProbe(kernels, team, account, QUICK_SECONDS)) {
        boolean streams = bytes(file) > account.free();
        return machine
            .withMemory(probe.memoryBytesPerSecond())
            .withDisk(streams ? probe.diskBytesPerSecond(file) : machine.diskBytesPerSecond());
      }
    }
    if (!complete) {
      entry.addProperty("memoryBytesPerSecond", machine.memoryBytesPerSecond());
      disks.addProperty(store, machine.diskBytesPerSecond());
      put(child(entry, "attention"), machine.attention());
      machine.formats().forEach((name, known) -> put(child(formats, name), known));
      write(root);
    }
    return machine;
  }

  /**
   * Says whether exact figures are not worth their time, since they decide nothing or are
   * forgotten.
   */
  boolean isRough(ModelFile file) {
    if (bytes(file) < small) {
      return true;
    }
    try {
      Files.createDirectories(directory);
      return !Files.isWritable(directory);
    } catch (IOException notThere) {
      return true;
    }
  }

  /**
   * Bytes per second that products have read: memory gives as much at the least, also where there
   * was no time for the JVM to compile what measures it.
   */
  private static double readByProducts(Map<String, Machine.Rates> rates) {
    return rates.entrySet().stream()
        .mapToDouble(e -> e.getValue().decode() * Formats.byName(e.getKey()).bytes(ROW) / ROW)
        .max()
        .orElse(0);
  }

  private static Machine.@Nullable Rates rates(JsonObject object) {
    OptionalDouble decode = number(object, "decode");
    OptionalDouble prefill = number(object, "prefill");
    return decode.isPresent() && prefill.isPresent()
        ? new Machine.Rates(decode.getAsDouble(), prefill.getAsDouble())
        : null;
  }

  private static void put(JsonObject object, Machine.Rates rates) {
    object.addProperty("decode", rates.decode());
    object.addProperty("prefill", rates.prefill());
  }

  private static long bytes(ModelFile file) {
    return file.tensors().values().stream().mapToLong(TensorInfo::bytes).sum();
  }

  private static String store(Path path) {
    try {
      return Files.getFileStore(path).name();
    } catch (IOException unknown) {
      return "unknown";
    }
  }

  /** The object of this name, put there if there is none. */
  private static JsonObject child(JsonObject parent, String name) {
    if (parent.get(name) instanceof JsonObject found) {
      return found;
    }
    JsonObject made = new JsonObject();
    parent.add(name, made);
    return made;
  }

  private static OptionalDouble number(JsonObject object, String name) {
    @Nullable JsonElement value = object.get(name);
    if (value != null && value.isJsonPrimitive() && value.getAsJsonPrimitive().isNumber()) {
      double number = value.getAsDouble();
      if (number > 0 && number < 1e18) {
        return OptionalDouble.of(number);
      }
    }
    return OptionalDouble.empty();
  }

  private JsonObject read() {
    if (unwritten != null) {
      return unwritten;
    }
    try {
      String text = Files.readString(directory.resolve(FILE));
      if (JsonParser.parseString(text) instanceof JsonObject object) {
        return object;
      }
    } catch (IOException | JsonParseException absentOrBroken) {
      return new JsonObject();
    }
    return new JsonObject();
  }

  private void write(JsonObject root) {
    try {
      Files.createDirectories(directory);
      Path made = Files.createTempFile(directory, "machine", ".tmp");
      try {
        Files.writeString(made, new GsonBuilder().setPrettyPrinting().create().toJson(root) + "\n");
        Files.move(made, directory.resolve(FILE), StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(made);
      }
    } catch (IOException notWritable) {
      unwritten = root; // the next start measures again
    }
  }
}
