package dev.knapsack.model;

import dev.knapsack.cache.Companion;
import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.KvLayout;
import dev.knapsack.cache.KvPolicy;
import dev.knapsack.cache.LayerLayout;
import dev.knapsack.cache.RetentionGates;
import dev.knapsack.cache.policy.Calibration;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/** The files beside a model that tell KV policies what they have to know of it. */
public final class ModelCompanions implements Companion.Reader {
  private final ModelFile file;
  private final ModelSpec spec;

  private ModelCompanions(ModelFile file, ModelSpec spec) {
    this.file = file;
    this.spec = spec;
  }

  /**
   * The policy with what it lacks, from files beside the model; where it lacks nothing, none is
   * looked for.
   *
   * @throws ModelFileException if a file is missing, damaged or of another model: says what makes
   *     one
   */
  public static KvPolicy given(KvPolicy policy, ModelFile file, ModelSpec spec) {
    if (policy.lacks().isEmpty()) {
      return policy;
    }
    try {
      return policy.with(new ModelCompanions(file, spec));
    } catch (IllegalArgumentException e) {
      throw new ModelFileException(
          file.path(), "KV recipe " + policy.name(), String.valueOf(e.getMessage()), e);
    }
  }

  /** Says whether all files that a policy lacks lie beside the model. */
  public static boolean areThere(KvPolicy policy, ModelFile file) {
    return policy.lacks().stream().allMatch(kind -> Files.exists(path(file.path(), kind)));
  }

  /** The place of the file of this kind. */
  public static Path path(Path model, Companion<?> kind) {
    Path name = Objects.requireNonNull(model.toAbsolutePath().normalize().getFileName());
    return model.resolveSibling(name + "." + kind.suffix());
  }

  @Override
  public <T> T read(Companion<T> kind) {
    Path path = path(file.path(), kind);
    if (!Files.exists(path)) {
      throw new ModelFileException(
          path, "file", "is not there, and the KV recipe goes by it; " + kind.made());
    }
    if (kind.equals(Calibration.FILE)) {
      return kind.content().cast(calibration(path));
    }
    if (kind.equals(RetentionGates.FILE)) {
      return kind.content().cast(RetentionGateFile.open(path, spec));
    }
    if (kind.equals(HeadBases.FILE)) {
      KvLayout plain = spec.kvLayout(KvLayout.FULL, KvLayout.FULL);
      return kind.content().cast(HeadBasesFile.open(path, ModelIdentity.of(file), plain));
    }
    throw new IllegalStateException("Nobody reads " + kind);
  }

  private Calibration calibration(Path path) {
    Calibration read = CalibrationFile.read(path);
    if (!read.model().equals(ModelIdentity.of(file)) || !fits(read)) {
      throw new ModelFileException(
          path, "model", "was measured with other weights; " + Calibration.FILE.made());
    }
    return read;
  }

  private boolean fits(Calibration read) {
    if (read.layers().size() != spec.layers().size()) {
      return false;
    }
    KvLayout plain = spec.kvLayout(KvLayout.FULL, KvLayout.FULL);
    for (int l = 0; l < spec.layers().size(); l++) {
      LayerLayout.Heads heads = plain.heads(l);
      int queries = heads.seeAll() ? heads.kvHeads() * heads.group() : 0;
      if (read.layers().get(l).heads().size() != queries) {
        return false;
      }
    }
    return true;
  }
}
