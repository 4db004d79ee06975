package dev.knapsack.text.template;

import java.util.List;

/** What {@code keys}, {@code values} and {@code items} of a dictionary return: no list. */
record DictView(String type, List<Object> items) {}
