package dev.knapsack.file;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.HubTensors.Part;
import dev.knapsack.file.HubTensors.Raw;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Turns the tensors of an encoder's safetensors files into those that GGUF has of it. */
final class EncoderTensors {
  private static final Pattern LAYERED = Pattern.compile("blk\\.(\\d+)\\..*");

  private final EncoderConfig config;
  private final EncoderFamily family;
  private final Pattern layer;
  private final List<Part> parts = new ArrayList<>();

  EncoderTensors(EncoderConfig config) {
    this.config = config;
    this.family = config.family();
    layer = Pattern.compile(Pattern.quote(family.layers()) + "(\\d{1,4})\\.(.+)");
  }

  /** Takes all tensors of a file. */
  void add(OpenFile file, SafetensorsHeader header) {
    header.tensors().forEach((name, entry) -> add(new Raw(file, name, entry)));
  }

  /** All tensors, layer after layer. */
  Map<String, Part> build(Path path) {
    Map<String, Part> result = new LinkedHashMap<>();
    parts.sort(Comparator.comparingInt(part -> order(part.info().name())));
    for (Part part : parts) {
      if (result.put(part.info().name(), part) != null) {
        throw new ModelFileException(path, part.info().name(), "two of its tensors are this one");
      }
    }
    if (config.judges() && !result.containsKey("cls.output.weight")) {
      throw new ModelFileException(
          path, "classifier", "is missing, and config.json says that the model judges texts");
    }
    return result;
  }

  private static int order(String name) {
    Matcher layered = LAYERED.matcher(name);
    return layered.matches()
        ? Integer.parseInt(layered.group(1))
        : name.startsWith("cls") || name.startsWith("output") ? Integer.MAX_VALUE : -1;
  }

  private void add(Raw raw) {
    Matcher prefix = family.prefix().matcher(raw.name());
    String name = prefix.lookingAt() ? raw.name().substring(prefix.end()) : raw.name();
    int dot = Math.max(0, name.lastIndexOf('.'));
    String module = name.substring(0, dot);
    // Old files have the words of the paper on norms.
    String kind =
        switch (name.substring(dot)) {
          case ".gamma" -> ".weight";
          case ".beta" -> ".bias";
          default -> name.substring(dot);
        };
    @Nullable String head = config.judges() ? family.head().get(module) : null;
    if (head == null && family.ignored().matcher(name).matches()) {
      return;
    }
    Matcher layered = layer.matcher(module);
    String gguf =
        head != null
            ? head
            : layered.matches()
                ? family.modules().get("N." + layered.group(2))
                : family.modules().get(module);
    boolean bias = kind.equals(".bias") && gguf != null && family.biased().contains(gguf);
    if (gguf == null || !(kind.equals(".weight") || bias)) {
      throw raw.error(
          "no tensor of this name is known in an encoder like "
              + family.architecture()
              + (name.contains("up_gated_layer")
                  ? "; Jina's later kind, with norms of queries and keys, is not supported from"
                      + " directories"
                  : ""));
    }
    String place = head == null && layered.matches() ? "blk." + layered.group(1) + "." : "";
    put(place + gguf + kind, raw);
  }

  private void put(String name, Raw raw) {
    List<Long> shape = raw.shape(2);
    Format format = raw.format();
    TensorSource.Extent extent = raw.extent();
    if (shape.size() == 1) {
      parts.add(
          new Part(
              new TensorInfo(name, Formats.F32, shape),
              new TensorSource.Numbers(extent, format, 0, 1, TensorSource.Change.NONE)));
      return;
    }
    long skipped = name.equals("position_embd.weight") ? config.unusedPositions() : 0;
    if (skipped >= shape.get(1)) {
      throw raw.error(
          "%,d rows, of which no token has the first %,d".formatted(shape.get(1), skipped));
    }
    long ahead = skipped * format.bytes(shape.getFirst());
    parts.add(
        new Part(
            new TensorInfo(name, format, List.of(shape.getFirst(), shape.get(1) - skipped)),
            new TensorSource.Pieces(
                List.of(
                    new TensorSource.Extent(
                        extent.file(), extent.offset() + ahead, extent.bytes() - ahead)))));
  }
}
