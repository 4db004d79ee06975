package dev.knapsack.model;

import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.BlockFormat;
import dev.knapsack.tensor.Format;
import dev.knapsack.tensor.Formats;
import org.jspecify.annotations.Nullable;

/**
 * The format that each tensor of a model file gets, as published files have it.
 *
 * <p>Vectors, biases, norms and routers are F32: they are small and matter much. The output
 * projection (the token embedding, where that is the output projection too) is Q6_K where the
 * others have fewer bits. With MXFP4, experts are MXFP4 and the rest Q8_0.
 *
 * @param format of the matrices
 * @param output of the output projection
 * @param experts of the experts' matrices
 */
record FormatChoice(Format format, Format output, Format experts) {
  /**
   * @param output null for the usual one
   * @throws dev.knapsack.error.UnsupportedFormatException for a format that files do not hold
   */
  static FormatChoice of(Format format, @Nullable Format output, boolean hasExperts) {
    Formats.checkInFiles(format);
    if (output != null) {
      Formats.checkInFiles(output);
    }
    Format dense = format.equals(Formats.MXFP4) && hasExperts ? Formats.Q8_0 : format;
    return new FormatChoice(dense, output == null ? usualOutput(dense) : output, format);
  }

  private static Format usualOutput(Format format) {
    boolean coarse = format instanceof BlockFormat && format.bytes(256) < Formats.Q6_K.bytes(256);
    return coarse ? Formats.Q6_K : format;
  }

  /**
   * The format of a tensor, if its rows were whole blocks of any format.
   *
   * @param isOutput whether a table is the output projection too
   */
  Format wanted(Role role, boolean isOutput) {
    return switch (role) {
      case NORM, BIAS, DECAY, NUMBERS, ROUTER -> Formats.F32;
      case OUTPUT -> output;
      case EMBEDDING -> isOutput ? output : format;
      case EXPERTS -> experts;
      case MATRIX, HEADS -> format;
    };
  }

  /** The role of a tensor that no supported family declares, by its name and shape. */
  static Role guess(TensorInfo tensor) {
    String name = tensor.name();
    if (tensor.shape().size() == 1 || name.contains("_norm.")) {
      return Role.NORM;
    }
    if (name.endsWith(".bias")) {
      return Role.BIAS;
    }
    if (name.contains("ffn_gate_inp")) {
      return Role.ROUTER;
    }
    if (name.endsWith("_exps.weight")) {
      return Role.EXPERTS;
    }
    return switch (name) {
      case ModelSpec.OUTPUT -> Role.OUTPUT;
      case ModelSpec.EMBEDDING -> Role.EMBEDDING;
      case "position_embd.weight", "token_types.weight" -> Role.NUMBERS;
      default -> Role.MATRIX;
    };
  }

  /** The format that rows of {@code columns} numbers can have: Q8_0, or else F16, if not this. */
  static Format fitting(Format wanted, long columns) {
    if (columns % wanted.blockValues() == 0) {
      return wanted;
    }
    return columns % Formats.Q8_0.blockValues() == 0 ? Formats.Q8_0 : Formats.F16;
  }

  /** The number that {@code general.file_type} has for files mostly of this format. */
  static int fileType(Format format) {
    return switch (format.name()) {
      case "F32" -> 0;
      case "F16" -> 1;
      case "Q4_0" -> 2;
      case "Q4_1" -> 3;
      case "Q8_0" -> 7;
      case "Q5_0" -> 8;
      case "Q5_1" -> 9;
      case "Q2_K" -> 10;
      case "Q3_K" -> 11;
      case "Q4_K" -> 14;
      case "Q5_K" -> 16;
      case "Q6_K" -> 18;
      case "IQ4_NL" -> 25;
      case "IQ4_XS" -> 30;
      case "BF16" -> 32;
      case "TQ1_0" -> 36;
      case "TQ2_0" -> 37;
      case "MXFP4" -> 38;
      case "Q1_0" -> 40;
      default -> throw new IllegalArgumentException("Files are not made in " + format.name());
    };
  }
}
