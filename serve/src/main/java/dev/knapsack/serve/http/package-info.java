/** HTTP as the APIs see it: exchanges, fields of JSON bodies, streams of events, refusals. */
@NullMarked
package dev.knapsack.serve.http;

import org.jspecify.annotations.NullMarked;
