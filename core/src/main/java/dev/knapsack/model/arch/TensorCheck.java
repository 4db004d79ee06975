package dev.knapsack.model.arch;

import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.TensorSpec;
import dev.knapsack.model.WeightLayout;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/** Checks that a file's tensors are those of the model that its metadata describe. */
final class TensorCheck {
  private final ModelFile file;
  private final ModelSpec spec;
  private final Set<String> required;

  /**
   * @param required suffixes of layer tensors that are optional in general and not here
   */
  TensorCheck(ModelFile file, ModelSpec spec, Set<String> required) {
    this.file = file;
    this.spec = spec;
    this.required = required;
  }

  /** Throws {@link ModelFileException} about the first tensor that is missing or misshapen. */
  void run() {
    for (TensorSpec tensor : spec.tensors()) {
      check("", tensor);
    }
    for (int l = 0; l < spec.layers().size(); l++) {
      String prefix = WeightLayout.name(l, "");
      List<TensorSpec> tensors = spec.layers().get(l).tensors();
      Map<String, TensorSpec> wholes = TensorSpec.fused(tensors);
      for (TensorSpec tensor : tensors) {
        TensorSpec whole = wholes.get(tensor.fused());
        check(prefix, whole != null && isFused(prefix, whole, tensors) ? whole : tensor);
      }
    }
  }

  /** Says whether the file has this in place of its parts, one of which may be named alike. */
  private boolean isFused(String prefix, TensorSpec whole, List<TensorSpec> parts) {
    TensorInfo found = file.tensors().get(prefix + whole.name());
    boolean ambiguous = parts.stream().anyMatch(part -> part.name().equals(whole.name()));
    return found != null && (!ambiguous || found.shape().equals(whole.shape()));
  }

  private void check(String prefix, TensorSpec tensor) {
    String name = prefix + tensor.name();
    TensorInfo found = file.tensors().get(name);
    if (found == null) {
      if (tensor.optional() && !required.contains(tensor.name())) {
        return;
      }
      throw new ModelFileException(
          file.path(), name, "the tensor is missing; expected one of shape " + tensor.shape());
    }
    if (!trimmed(found.shape()).equals(trimmed(tensor.shape()))) {
      throw new ModelFileException(
          file.path(), name, "has shape %s; expected %s".formatted(found.shape(), tensor.shape()));
    }
    int block = found.format().blockValues();
    if (tensor.shape().getFirst() % block != 0) {
      throw new ModelFileException(
          file.path(),
          name,
          "rows of %d numbers are no whole %s blocks of %d"
              .formatted(tensor.shape().getFirst(), found.format().name(), block));
    }
  }

  /** Writers differ in whether they keep dimensions of 1. */
  private static List<Long> trimmed(List<Long> shape) {
    return Stream.concat(shape.stream().limit(1), shape.stream().skip(1).filter(size -> size != 1))
        .toList();
  }
}
