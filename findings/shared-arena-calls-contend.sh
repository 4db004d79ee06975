#!/bin/sh
# JDK 25, java.lang.foreign: a downcall with a segment of Arena.ofShared() counts itself in and out of the arena with atomic operations, so
# threads that call with memory of one shared arena slow each other down. With a segment of Arena.ofAuto(), which is just as shared, nothing
# is counted and nothing contended. The Javadoc of Arena and Linker names no such cost.
# Seen, 25.0.x on two cores, a critical call of strnlen: one thread, shared takes 4 to 9 times the time of automatic; two threads, 7 to 22 times.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
java=$(for j in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/*; do
  "$j/bin/java" -version 2>&1 | grep -q 'version "25' && echo "$j/bin/java" && break
done || true)
[ -n "$java" ] || { echo "needs a JDK 25 in JAVA_HOME or /usr/lib/jvm" >&2; exit 2; }
cat >Finding.java <<'END'
import java.lang.foreign.*;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;

public class Finding {
  static final MethodHandle CALL =
      Linker.nativeLinker()
          .downcallHandle(
              Linker.nativeLinker().defaultLookup().findOrThrow("strnlen"),
              FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG),
              Linker.Option.critical(false));

  static long call(MemorySegment text) {
    try {
      return (long) CALL.invokeExact(text, 1L);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Nanoseconds a call. */
  static double nanos(Arena arena, int threads) throws InterruptedException {
    MemorySegment text = arena.allocate(8);
    int calls = 5_000_000;
    Thread[] callers = new Thread[threads];
    long begin = System.nanoTime();
    for (int t = 0; t < threads; t++) {
      callers[t] = new Thread(() -> {
        long sum = 0;
        for (int i = 0; i < calls; i++) {
          sum += call(text);
        }
        if (sum != 0) {
          throw new AssertionError();
        }
      });
      callers[t].start();
    }
    for (Thread caller : callers) {
      caller.join();
    }
    return (System.nanoTime() - begin) / (double) calls;
  }

  public static void main(String[] args) throws Exception {
    boolean as = true;
    for (int threads = 1; threads <= 2; threads++) {
      double[] ratios = new double[5];
      for (int round = 0; round < ratios.length; round++) {
        double automatic = nanos(Arena.ofAuto(), threads);
        try (Arena shared = Arena.ofShared()) {
          ratios[round] = nanos(shared, threads) / automatic;
        }
      }
      Arrays.sort(ratios);
      System.out.printf("%d thread(s): shared takes %.1f times the time of automatic%n", threads, ratios[2]);
      as &= ratios[2] > (threads == 1 ? 1.3 : 2);
    }
    System.exit(as ? 0 : 1);
  }
}
END
"$java" --enable-native-access=ALL-UNNAMED Finding.java
