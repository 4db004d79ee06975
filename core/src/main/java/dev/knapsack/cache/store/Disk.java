package dev.knapsack.cache.store;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** What a store needs of the file system; tests put a full one in its place. */
interface Disk {
  Disk OF_THIS_MACHINE =
      new Disk() {
        @Override
        public FileChannel create(Path file) throws IOException {
          return FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE);
        }

        @Override
        public long free(Path directory) throws IOException {
          return Files.getFileStore(directory).getUsableSpace();
        }
      };

  /** Opens an empty file to write, whether there was one or not. */
  FileChannel create(Path file) throws IOException;

  /** Bytes that can still be written. */
  long free(Path directory) throws IOException;
}
