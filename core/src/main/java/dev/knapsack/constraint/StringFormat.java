package dev.knapsack.constraint;

import dev.knapsack.constraint.StringSet.Pattern;
import java.util.Map;
import java.util.Optional;

/**
 * A format of texts, as JSON Schema names them.
 *
 * <p>Each stands for texts that every validator takes, not for all that some take: years of four
 * digits from 1000, zones of at most 13 hours, names of hosts in ASCII, no IPv4 inside IPv6.
 *
 * @param most characters at the most; less than 0 for any number
 */
record StringFormat(String name, Pattern pattern, int most) {
  private static final String YEAR = "[1-9]\\d{3}";
  private static final String LEAP_YEAR =
      "(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)";
  private static final String DATE =
      "(?:"
          + YEAR
          + "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)"
          + "|02-(?:0[1-9]|1\\d|2[0-8]))|"
          + LEAP_YEAR
          + "-02-29)";
  private static final String ZONE =
      "(?:Z|\\+(?:0\\d|1[0-3]):[0-5]\\d|-(?:0[1-9]|1[0-2]):[0-5]\\d)";
  private static final String TIME = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?" + ZONE;
  private static final String COUNT = "\\d{1,9}";
  private static final String PERIOD_OF_DAY =
      "T(?:%1$sH(?:%1$sM(?:%1$sS)?)?|%1$sM(?:%1$sS)?|%1$sS)".formatted(COUNT);
  private static final String DURATION =
      "P(?:%1$sW|(?:%1$sD|%1$sM(?:%1$sD)?|%1$sY(?:%1$sM(?:%1$sD)?)?)(?:%2$s)?|%2$s)"
          .formatted(COUNT, PERIOD_OF_DAY);
  private static final String LABEL = "[A-Za-z0-9](?:-?[A-Za-z0-9]){0,31}";
  private static final String HOST = LABEL + "(?:\\." + LABEL + ")*";
  private static final String ATOM = "[A-Za-z0-9_%+'-]";
  private static final String EMAIL =
      ("(?:%1$s{1,64}|%1$s{1,31}\\.%1$s{1,31}|%1$s{1,20}(?:\\.%1$s{1,20}){2})"
              + "@(?:%2$s\\.)+[A-Za-z]{2,24}")
          .formatted(ATOM, LABEL);
  private static final String OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  private static final String HEX = "[0-9A-Fa-f]";
  private static final String PATH_CHARACTER = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%" + HEX + "{2})";
  private static final String PATH = PATH_CHARACTER + "*(?:/" + PATH_CHARACTER + "*)*";
  private static final String AFTER_PATH =
      "(?:\\?(?:%1$s|[/?])*)?(?:#(?:%1$s|[/?])*)?".formatted(PATH_CHARACTER);
  private static final String URI =
      "[A-Za-z][A-Za-z0-9+.-]{0,31}:(?://%1$s(?::\\d{1,5})?(?:/%2$s*)*|%2$s(?:%3$s))%4$s"
          .formatted(HOST, PATH_CHARACTER, PATH, AFTER_PATH);
  private static final String URI_REFERENCE =
      "(?:%1$s|/(?:%2$s%3$s)?%4$s)".formatted(URI, PATH_CHARACTER, PATH, AFTER_PATH);
  private static final String POINTER = "(?:/(?:[^/~]|~[01])*)*";

  private static final Map<String, String> EXPRESSIONS =
      Map.ofEntries(
          Map.entry("date", DATE),
          Map.entry("time", TIME),
          Map.entry("date-time", DATE + "T" + TIME),
          Map.entry("duration", DURATION),
          Map.entry("email", EMAIL),
          Map.entry("idn-email", EMAIL),
          Map.entry("hostname", HOST),
          Map.entry("idn-hostname", HOST),
          Map.entry("ipv4", OCTET + "(?:\\." + OCTET + "){3}"),
          Map.entry("ipv6", addresses()),
          Map.entry(
              "uuid", HEX + "{8}-" + HEX + "{4}-" + HEX + "{4}-" + HEX + "{4}-" + HEX + "{12}"),
          Map.entry("uri", URI),
          Map.entry("iri", URI),
          Map.entry("uri-reference", URI_REFERENCE),
          Map.entry("iri-reference", URI_REFERENCE),
          Map.entry("uri-template", URI_REFERENCE),
          Map.entry("json-pointer", POINTER),
          Map.entry("relative-json-pointer", "(?:0|[1-9]\\d{0,8})(?:#|" + POINTER + ")"));

  /** Eight groups of digits, or fewer and '::' in place of the others (RFC 4291). */
  private static String addresses() {
    StringBuilder all = new StringBuilder("(?:%s{1,4}:){7}%1$s{1,4}".formatted(HEX));
    for (int before = 0; before <= 6; before++) {
      String left = before == 0 ? "" : "%s{1,4}(?::%1$s{1,4}){%d}".formatted(HEX, before - 1);
      String right =
          before == 6 ? "" : "(?:%s{1,4}(?::%1$s{1,4}){0,%d})?".formatted(HEX, 5 - before);
      all.append('|').append(left).append("::").append(right);
    }
    return all.toString();
  }

  /** The format of a name; empty for names that the standard does not define. */
  static Optional<StringFormat> named(String name) {
    String expression = EXPRESSIONS.get(name);
    if (expression == null) {
      return Optional.empty();
    }
    String whole = "^(?:" + expression + ")$";
    int most = name.endsWith("hostname") || name.endsWith("email") ? 253 : -1;
    return Optional.of(new StringFormat(name, Pattern.of(whole), most));
  }
}
