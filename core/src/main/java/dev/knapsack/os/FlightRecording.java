package dev.knapsack.os;

import jdk.jfr.FlightRecorder;

/**
 * The JDK's Flight Recorder, as far as one must know of it before an event is made: as long as
 * nobody has recorded anything, none of its other classes is loaded.
 */
public final class FlightRecording {
  /**
   * A runtime may have been linked without it; it is read by a module on the path if it is there.
   */
  private static final boolean THERE =
      ModuleLayer.boot()
          .findModule("jdk.jfr")
          .filter(FlightRecording.class.getModule()::canRead)
          .isPresent();

  private FlightRecording() {}

  /** Says whether somebody records, or has recorded in this process: events may be of use. */
  public static boolean isOn() {
    return THERE && FlightRecorder.isInitialized();
  }
}
