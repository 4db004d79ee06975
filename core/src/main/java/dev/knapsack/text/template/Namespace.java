package dev.knapsack.text.template;

import java.util.LinkedHashMap;
import java.util.Map;

/** The value of {@code namespace(...)}: the only one whose attributes a template can set. */
final class Namespace {
  final Map<String, Object> attributes = new LinkedHashMap<>();
}
