package dev.knapsack.cache;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.knapsack.error.SpillException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A disk on which 1,000 bytes are free for files. */
class SpillFolderTest {
  @TempDir Path folder;

  /** Files together have the disk's bytes, as those of other programs would. */
  private final class Small implements SpillFolder.Disk {
    private FileChannel file;

    @Override
    public FileChannel open(Path in) throws IOException {
      file =
          FileChannel.open(
              in.resolve("kv"),
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.DELETE_ON_CLOSE);
      return file;
    }

    @Override
    public long free(Path in) throws IOException {
      return 1000 - (file == null || !file.isOpen() ? 0 : file.size());
    }
  }

  @Test
  void whatIsPromisedIsPromisedOnce() {
    try (SpillFolder disk = new SpillFolder(folder, new Small())) {
      disk.promise(600);
      assertThatThrownBy(() -> disk.promise(401))
          .isInstanceOf(SpillException.class)
          .hasMessageContaining("401 bytes are needed and 400 are free")
          .hasMessageContaining("others have been promised");
      disk.promise(400);
      disk.giveBack(600);
      assertThatCode(() -> disk.checkRoom(600)).doesNotThrowAnyException();
      assertThatThrownBy(() -> disk.checkRoom(601)).isInstanceOf(SpillException.class);
    }
  }

  @Test
  void whatHasBeenWrittenIsNotPromisedBeside() {
    try (SpillFolder disk = new SpillFolder(folder, new Small())) {
      disk.promise(600);
      FileChannel file = disk.open();
      SpillFolder.await(
          disk.move(file, List.of(new SpillFolder.Move(ByteBuffer.allocate(500), 0)), true));
      // 500 are free, and 100 of them promised.
      disk.promise(400);
      assertThatThrownBy(() -> disk.promise(1)).isInstanceOf(SpillException.class);
      disk.close(file);
      disk.giveBack(600);
      assertThatCode(() -> disk.promise(600)).doesNotThrowAnyException();
    }
  }
}
