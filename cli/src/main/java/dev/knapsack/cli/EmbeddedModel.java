package dev.knapsack.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
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
   * CRC-32 of the file: the JVM computes it in a millisecond even before it has compiled anything.
   */
  private static final long CHECKSUM = 0x8e13bea6L;

  private EmbeddedModel() {}

  /**
   * Writes the model into a directory, unless it is already there whole, and returns its path.
   *
   * <p>The file appears under its name only when it is complete and its checksum is right, also
   * when several processes extract it at once.
   *
   * @param directory is made if it does not exist
   * @throws IOException if the directory cannot be written or the resource is missing or damaged
   */
  static Path extract(Path directory) throws IOException {
    Path target = directory.resolve(FILE_NAME);
    if (Files.isRegularFile(target) && isWhole(target)) {
      return target;
    }
    Files.createDirectories(directory);
    Path partial = Files.createTempFile(directory, FILE_NAME, ".part");
    try {
      try (InputStream resource = EmbeddedModel.class.getResourceAsStream(FILE_NAME)) {
        if (resource == null) {
          throw new IOException(
              "this build of Knapsack has no model inside (resource "
                  + FILE_NAME
                  + "); name a model file");
        }
        CheckedInputStream in = new CheckedInputStream(resource, new CRC32());
        try (OutputStream out = Files.newOutputStream(partial)) {
          in.transferTo(out);
        }
        if (in.getChecksum().getValue() != CHECKSUM) {
          throw new IOException(
              "the model inside this build of Knapsack (resource "
                  + FILE_NAME
                  + ") is damaged: its checksum is wrong");
        }
      }
      Files.move(
          partial, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(partial);
    }
    return target;
  }

  private static boolean isWhole(Path file) throws IOException {
    try (CheckedInputStream in = new CheckedInputStream(Files.newInputStream(file), new CRC32())) {
      in.transferTo(OutputStream.nullOutputStream());
      return in.getChecksum().getValue() == CHECKSUM;
    }
  }
}
