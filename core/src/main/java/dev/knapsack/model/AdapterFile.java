package dev.knapsack.model;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.TensorSpec.Role;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The header of an adapter's file, checked against the model's shape before any number is read. */
final class AdapterFile {
  private static final String A = ".lora_a";
  private static final String B = ".lora_b";
  private static final String ALPHA = "adapter.lora.alpha";

  private final ModelFile file;
  private final ModelSpec spec;
  private final double alpha;
  private final List<Part> parts = new ArrayList<>();

  /** Names of tensors that belong to a part. */
  private final Set<String> known = new HashSet<>();

  /**
   * The pair for a matrix that a layer declares.
   *
   * @param tensor its number among those that the layer declares
   * @param row the first row of {@code b} that counts: some are for several matrices, whose rows
   *     lie one after the other
   */
  record Part(int layer, int tensor, TensorInfo a, TensorInfo b, int row, int rows) {
    int rank() {
      return Math.toIntExact(b.shape().getFirst());
    }
  }

  /**
   * Finds the pairs.
   *
   * @throws ModelFileException if it is no adapter, or does not fit the model
   */
  AdapterFile(ModelFile file, ModelSpec spec) {
    this.file = file;
    this.spec = spec;
    check("general.type", "adapter");
    check("adapter.type", "lora");
    check("general.architecture", spec.family());
    this.alpha = file.metadata().real(ALPHA, 0);
    if (!Float.isFinite((float) alpha)) {
      throw wrong(ALPHA, "is %s; it has to be a number of float32".formatted(alpha));
    }
    for (int l = 0; l < spec.layers().size(); l++) {
      findParts(l, spec.layers().get(l).tensors());
    }
    for (String name : file.tensors().keySet()) {
      if (!known.contains(name)) {
        throw wrong(
            name,
            "belongs to no matrix of %s that an adapter can change: those of its layers, but for experts and for those of single heads"
                .formatted(spec.name()));
      }
    }
    if (parts.isEmpty()) {
      throw wrong("tensors", "there are none");
    }
  }

  private void check(String key, String expected) {
    String found = file.metadata().findString(key).orElse("");
    if (!found.equals(expected)) {
      throw wrong(key, "is '%s'; an adapter of this model has '%s'".formatted(found, expected));
    }
  }

  private ModelFileException wrong(String field, String problem) {
    return new ModelFileException(file.path(), field, problem);
  }

  private void findParts(int layer, List<TensorSpec> declared) {
    Map<String, TensorSpec> wholes = TensorSpec.fused(declared);
    Map<String, Integer> rowsBefore = new HashMap<>();
    for (int t = 0; t < declared.size(); t++) {
      TensorSpec tensor = declared.get(t);
      if (tensor.role() != Role.MATRIX && tensor.role() != Role.ROUTER) {
        continue;
      }
      TensorSpec whole = tensor.fused() == null ? null : wholes.get(tensor.fused());
      int row = 0;
      if (whole != null && isForAll(layer, whole)) {
        row = rowsBefore.merge(whole.name(), rows(tensor), Integer::sum) - rows(tensor);
        tensor = whole;
      }
      String name = WeightLayout.name(layer, tensor.name());
      TensorInfo a = file.tensors().get(name + A);
      TensorInfo b = file.tensors().get(name + B);
      if (a != null || b != null) {
        parts.add(
            new Part(layer, t, half(a, name + A), half(b, name + B), row, rows(declared.get(t))));
        checkShapes(name, tensor, parts.getLast());
      }
    }
  }

  /** Says whether there is a pair for several matrices in one, of which one may be named alike. */
  private boolean isForAll(int layer, TensorSpec whole) {
    TensorInfo b = file.tensors().get(WeightLayout.name(layer, whole.name()) + B);
    return b != null && b.shape().size() == 2 && b.shape().getLast() == rows(whole);
  }

  private static int rows(TensorSpec tensor) {
    return Math.toIntExact(tensor.shape().getLast());
  }

  private TensorInfo half(@Nullable TensorInfo found, String name) {
    if (found == null) {
      throw wrong(name, "is missing");
    }
    known.add(name);
    return found;
  }

  private void checkShapes(String name, TensorSpec tensor, Part part) {
    long columns = tensor.shape().getFirst();
    long rank = part.b.shape().stream().findFirst().orElse(0L);
    // Writers may leave out a dimension of 1 at the end.
    boolean fits =
        (part.a.shape().equals(List.of(columns, rank))
                || (rank == 1 && part.a.shape().equals(List.of(columns))))
            && part.b.shape().equals(List.of(rank, (long) rows(tensor)));
    if (!fits || rank > spec.width()) {
      throw wrong(
          name,
          "has a pair of shapes %s and %s; the model needs [%d, r] and [r, %d], with r up to %d"
              .formatted(part.a.shape(), part.b.shape(), columns, rows(tensor), spec.width()));
    }
  }

  List<Part> parts() {
    return parts;
  }

  /** The largest rank. */
  int rank() {
    return parts.stream().mapToInt(Part::rank).max().orElseThrow();
  }

  /** The most rows of a matrix. */
  int widest() {
    return parts.stream().mapToInt(Part::rows).max().orElseThrow();
  }

  /** The factor of a pair's product. */
  double factor(Part part) {
    return alpha == 0 ? 1 : alpha / part.rank();
  }
}
