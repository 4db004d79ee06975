package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Chats that go on in another run. */
class SessionsTest {
  private static final String TOLD =
      "Dan put the blue ring in the library. Kate's number is 4821. The tennis meeting is on"
          + " Monday.";

  @TempDir Path home;
  @TempDir Path cache;
  private Shell shell;

  @BeforeEach
  void shell() throws IOException {
    shell = new Shell(home).with("XDG_CACHE_HOME", cache.toString());
    // What the machine can do has been measured for all tests.
    Path measured = cache.resolve("knapsack");
    Files.createDirectories(measured);
    if (Files.isDirectory(Shell.CACHE.resolve("knapsack"))) {
      try (var files = Files.list(Shell.CACHE.resolve("knapsack"))) {
        for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
          Files.copy(file, measured.resolve(file.getFileName()));
        }
      }
    }
  }

  private static int measured(JsonObject answer, String name) {
    return answer.getAsJsonObject("measured").get(name).getAsInt();
  }

  private Shell.Result say(String text, Object... options) {
    Object[] line = new Object[options.length + 8];
    Object[] first = {"run", "--session", "notes", "-p", text, "--json", "--threads", 1};
    System.arraycopy(first, 0, line, 0, first.length);
    System.arraycopy(options, 0, line, first.length, options.length);
    return shell.run(line).succeeded();
  }

  @Test
  void aChatGoesOnWithoutReadingWhatWasSaid() throws IOException {
    Shell.Result first = say(TOLD);
    assertThat(first.err()).contains("session 'notes' is new", "session 'notes' saved: ");
    int read = measured(first.json(), "promptTokens");
    assertThat(measured(first.json(), "cachedTokens")).isZero();

    Shell.Result second = say("What is Kate's number?");
    assertThat(second.err()).contains("session 'notes' goes on after 2 messages; ");
    assertThat(second.json().get("text").getAsString()).contains("4821");
    assertThat(measured(second.json(), "cachedTokens")).isGreaterThanOrEqualTo(read);

    Shell.Result listed = shell.run("sessions").succeeded();
    assertThat(listed.out()).matches("(?s)notes +4 messages .* cached .*");

    // Without its cache it is read again, and knows as much.
    Path saved = cache.resolve("knapsack/sessions/notes.kv");
    byte[] bytes = Files.readAllBytes(saved);
    bytes[bytes.length / 2] ^= 1;
    Files.write(saved, bytes);
    Shell.Result third = say("Where is the blue ring?");
    assertThat(third.err())
        .contains("session 'notes' goes on after 4 messages, which are read again (")
        .contains("notes.kv: is damaged: the section of layer");
    assertThat(third.json().get("text").getAsString()).contains("library");
    assertThat(measured(third.json(), "cachedTokens")).isZero();

    Shell.Result fourth = say("When is the tennis meeting?", "--kv-format", "q8_0");
    assertThat(fourth.err()).contains("is of a cache in k=f16,v=f16, not in k=q8_0,v=q8_0");
    assertThat(fourth.json().get("text").getAsString()).contains("Monday");

    assertThat(shell.run("sessions", "--remove", "notes").succeeded().err())
        .isEqualTo("removed notes\n");
    assertThat(saved).doesNotExist();
    assertThat(shell.run("sessions").succeeded().err()).startsWith("No sessions yet.");
    shell.run("sessions", "--remove", "notes").failed(Main.BAD_FILE, "There is no session 'notes'");
  }

  @Test
  void withoutRoomForItsCacheTheConversationIsKept() {
    shell.with(SavedChats.LIMIT, "1K");
    assertThat(say(TOLD).err()).contains("not saved: it takes ", "The conversation is kept");
    Shell.Result second = say("What is Kate's number?");
    assertThat(second.err()).contains("goes on after 2 messages, which are read again");
    assertThat(second.json().get("text").getAsString()).contains("4821");
  }

  @Test
  void whatCannotBeASession() throws IOException {
    shell.run("run", "--session", "../x", "-p", "a").failed(2, "'../x' cannot be the name");
    shell.run("run", "--session", "x", "--raw", "-p", "a").failed(2, "--session keeps a chat");
    Path file = home.resolve(".local/share/knapsack/sessions/x.json");
    Files.createDirectories(file.getParent());
    Files.writeString(file, "[{\"role\":");
    shell
        .run("run", "--session", "x", "-p", "a")
        .failed(Main.BAD_FILE, "x.json: is no conversation that Knapsack has saved");
  }

  @Test
  void oneFileThatIsNoSessionHidesNoOther() throws IOException {
    Path sessions = home.resolve(".local/share/knapsack/sessions");
    Path caches = cache.resolve("knapsack/sessions");
    Files.createDirectories(sessions.resolve("folder.json"));
    Files.createDirectories(caches);
    Files.writeString(sessions.resolve("good.json"), "[{\"role\":\"user\",\"content\":\"a\"}]");
    Files.writeString(sessions.resolve("cut.json"), "[{\"role\":");
    Files.writeString(sessions.resolve("other.json"), "[{\"role\":{},\"content\":[1]}]");
    Files.writeString(sessions.resolve("a b.json"), "[]");
    Files.writeString(sessions.resolve("notes.txt"), "hello");
    Files.write(sessions.resolve("latin.json"), new byte[] {'[', '"', (byte) 0xE4, '"', ']'});
    Files.createSymbolicLink(sessions.resolve("gone.json"), Path.of("nowhere"));
    Files.writeString(caches.resolve("good.kv"), "no cache");
    Files.writeString(caches.resolve("a b.kv"), "x");

    String listed = shell.run("sessions").succeeded().out();
    assertThat(listed.lines().toList())
        .hasSize(10)
        .first()
        .asString()
        .matches("good +1 messages +8 B cached .*");
    assertThat(listed)
        .contains(sessions.resolve("cut.json") + " (9 B): is no conversation that Knapsack")
        .contains(sessions.resolve("other.json") + " (27 B): is no conversation")
        .contains(sessions.resolve("latin.json") + " (5 B): is no conversation")
        .contains(sessions.resolve("a b.json") + " (2 B): is no session: 'a b' cannot be")
        .contains(sessions.resolve("notes.txt") + " (5 B): is no session: those end in .json")
        .contains(sessions.resolve("folder.json") + " (0 B): is a folder")
        .contains(sessions.resolve("gone.json") + " (0 B): leads to no file")
        .contains(caches.resolve("a b.kv") + " (1 B): 'a b' cannot be the name")
        .contains(caches.resolve("good.kv") + " (8 B): ");

    Shell.Result removed = shell.run("sessions", "--remove", "cut", "nobody", "other");
    assertThat(removed.code()).isEqualTo(Main.BAD_FILE);
    assertThat(removed.err()).contains("removed other\nknapsack: There is no session 'nobody'");
    assertThat(sessions.resolve("cut.json")).doesNotExist();
    assertThat(sessions.resolve("other.json")).doesNotExist();
  }

  @Test
  void aNameThatFitsNoFileIsRefusedAtOnce() {
    String longest = "a".repeat(64);
    shell.run("sessions", "--remove", longest).failed(Main.BAD_FILE, "There is no session");
    for (String name : new String[] {longest + "a", "𐐀".repeat(60)}) {
      shell
          .run("run", "nothing.gguf", "--session", name, "-p", "a")
          .failed(2, "cannot be the name of what is saved", "1 to 64 letters", "200 bytes");
    }
  }
}
