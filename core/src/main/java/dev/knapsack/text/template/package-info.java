/** The small Jinja interpreter that renders chat templates as the hub ships them. */
@NullMarked
package dev.knapsack.text.template;

import org.jspecify.annotations.NullMarked;
