package dev.knapsack.serve.http;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Sees who has gone while their answer is computed.
 *
 * <p>A server that reads a request and then writes its answer does not look at the connection in
 * between, and a plain answer writes nothing for minutes. So one thread asks each connection, every
 * {@value #PERIOD_MILLIS} milliseconds, for a byte: there is none while the client waits, and its
 * end once it has closed. Clients do not send their next request before they have this answer, so
 * watching ends before the last of it is written; from one that does, no more than this one is
 * read.
 */
public final class Departures implements AutoCloseable {
  private static final int PERIOD_MILLIS = 20;

  /** Something that is done again and again, until it is closed. */
  @FunctionalInterface
  interface Reminder extends AutoCloseable {
    /** Nothing. */
    Reminder NONE = () -> {};

    @Override
    void close();
  }

  /** A connection that is watched until it is closed. */
  public final class Watch implements AutoCloseable {
    private final @Nullable SocketChannel channel;
    private final boolean secure;
    private final Runnable gone;
    private boolean closed; // guarded by this
    private boolean spoiled; // guarded by this

    private Watch(@Nullable SocketChannel channel, boolean secure, Runnable gone) {
      this.channel = channel;
      this.secure = secure;
      this.gone = gone;
    }

    private void look(ByteBuffer one) {
      if (isGone(one)) {
        gone.run();
      }
    }

    private synchronized boolean isGone(ByteBuffer one) {
      int bytes = closed || channel == null ? 0 : read(channel, one);
      if (bytes == 0) {
        return false;
      }
      close();
      // Encrypted, a goodbye comes as bytes.
      spoiled = bytes > 0 && !secure;
      return !spoiled;
    }

    /** Says whether bytes of a next request were taken, which no more can be read after. */
    public synchronized boolean spoiled() {
      return spoiled;
    }

    /** Ends watching: what the client sends from now on is left to be read. */
    @Override
    public synchronized void close() {
      closed = true;
      watches.remove(this);
    }
  }

  private final Set<Watch> watches = ConcurrentHashMap.newKeySet();
  private final ScheduledExecutorService clock;
  private final ScheduledFuture<?> looking;

  Departures() {
    clock =
        Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("knapsack-connections").factory());
    ByteBuffer one = ByteBuffer.allocate(1);
    looking =
        clock.scheduleWithFixedDelay(
            () -> watches.forEach(w -> w.look(one)),
            PERIOD_MILLIS,
            PERIOD_MILLIS,
            TimeUnit.MILLISECONDS);
  }

  /** Calls {@code gone} when the other end of a connection has closed it. */
  Watch watch(@Nullable SocketChannel channel, boolean secure, Runnable gone) {
    Watch watch = new Watch(channel, secure, gone);
    watches.add(watch);
    return watch;
  }

  private static int read(SocketChannel channel, ByteBuffer one) {
    try {
      return channel.read(one.clear());
    } catch (IOException e) {
      return -1;
    }
  }

  /** Does something about every so many seconds, each time in a thread of its own. */
  Reminder every(int seconds, Runnable work) {
    ScheduledFuture<?> future =
        clock.scheduleWithFixedDelay(
            () -> Thread.ofVirtual().start(work), seconds, seconds, TimeUnit.SECONDS);
    return () -> future.cancel(false);
  }

  @Override
  public void close() {
    looking.cancel(false);
    clock.shutdownNow();
  }
}
