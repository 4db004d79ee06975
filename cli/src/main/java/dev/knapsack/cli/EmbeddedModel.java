package dev.knapsack.cli;

import dev.knapsack.cache.HeadBases;
import dev.knapsack.cache.policy.Calibration;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;

/**
 * The model inside the program, used when the user names none: it keeps notes and answers questions
 * about them.
 *
 * <p>The README beside the resource says how it was made and what it can do.
 */
final class EmbeddedModel {
  static final String FILE_NAME = "notes-2.6m-q8_0.gguf";

  /**
   * CRC-32 of a file: the JVM computes it in a millisecond even before it has compiled anything.
   */
  private static final long CHECKSUM = 0x8e13bea6L;

  /** The files that {@code knapsack calibrate} measured of it, for KV recipes that go by them. */
  private static final Map<String, Long> COMPANIONS =
      Map.of(
          FILE_NAME + "." + Calibration.FILE.suffix(), 0xac542615L,
          FILE_NAME + "." + HeadBases.FILE.suffix(), 0xcafd88deL);

  private EmbeddedModel() {}

  /**
   * Writes the model into a directory, unless it is already there whole, and returns its path. What
   * was measured of it comes with it, and is left alone where it is: it may have been measured
   * anew.
   *
   * <p>The file appears under its name only when it is complete and its checksum is right, also
   * when several processes extract it at once.
   *
   * @param directory is made if it does not exist
   * @throws IOException if the directory cannot be written or the resource is missing or damaged
   */
  static Path extract(Path directory) throws IOException {
    Path target = directory.resolve(FILE_NAME);
    boolean whole = Files.isRegularFile(target) && isWhole(target);
    Files.createDirectories(directory);
    for (Map.Entry<String, Long> companion : COMPANIONS.entrySet()) {
      if (!whole || Files.notExists(directory.resolve(companion.getKey()))) {
        write(directory, companion.getKey(), companion.getValue());
      }
    }
    if (!whole) {
      write(directory, FILE_NAME, CHECKSUM);
    }
    return target;
  }

  private static void write(Path directory, String name, long checksum) throws IOException {
    Path partial = Files.createTempFile(directory, name, ".part");
    try {
      try (InputStream resource = EmbeddedModel.class.getResourceAsStream(name)) {
        if (resource == null) {
          throw new IOException(
              "this build of Knapsack has no model inside (resource "
                  + name
                  + "); name a model file");
        }
        CheckedInputStream in = new CheckedInputStream(resource, new CRC32());
        try (OutputStream out = Files.newOutputStream(partial)) {
          in.transferTo(out);
        }
        if (in.getChecksum().getValue() != checksum) {
          throw new IOException(
              "the model inside this build of Knapsack (resource "
                  + name
                  + ") is damaged: its checksum is wrong");
        }
      }
      Files.move(
          partial,
          directory.resolve(name),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  private static boolean isWhole(Path file) throws IOException {
    try (CheckedInputStream in = new CheckedInputStream(Files.newInputStream(file), new CRC32())) {
      in.transferTo(OutputStream.nullOutputStream());
      return in.getChecksum().getValue() == CHECKSUM;
    }
  }
}
