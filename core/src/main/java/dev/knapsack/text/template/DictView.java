package dev.knapsack.text.template;

import java.util.List;

/** The value of {@code keys}, {@code values} and {@code items} of a dictionary: no list. */
record DictView(String type, List<Object> items) {}
