package dev.knapsack.kernel.x86;

import java.util.ArrayList;
import java.util.List;

/** A place in the code, which jumps and loads may name before it is known. */
final class Label {
  /** Where the place is, in bytes from the start of the code; -1 until it is known. */
  int place = -1;

  /** Where the 32-bit distances to it stand. */
  final List<Integer> uses = new ArrayList<>();
}
