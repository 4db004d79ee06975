package dev.knapsack.kernel.x86;

import java.util.ArrayList;
import java.util.List;

/** A place in the code, which jumps and loads may name before it is known. */
final class Label {
  /** The place, in bytes from the start of the code; -1 until it is known. */
  int place = -1;

  /** The places of the 32-bit distances to it. */
  final List<Integer> uses = new ArrayList<>();
}
