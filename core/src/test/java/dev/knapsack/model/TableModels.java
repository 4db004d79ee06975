package dev.knapsack.model;

/** Models whose layers read rows of tables, each with what it takes to compute it the plain way. */
enum TableModels {
  /** Values are mixed with three that tokens have in a bank. */
  MOVE {
    @Override
    NaiveModel make() {
      FixtureModel model = FixtureModel.llama("move", 11);
      model.key("value_embedding.slots", 3L).weights("value_embd.weight", 48, 40);
      for (int l = 0; l < 3; l++) {
        model.weights("blk." + l + ".attn_v_gate.weight", 32, 8);
      }
      return new NaiveModel(model) {
        @Override
        double[] value(String p, int token, double[] h) {
          double[] own = biased(p + "attn_v", h);
          double[] gates = biased(p + "attn_v_gate", h);
          double[] bank = row("value_embd.weight", tokens[token]);
          double[] mixed = new double[16];
          for (int i = 0; i < 16; i++) {
            int head = i / 8;
            mixed[i] = gate(gates[head * 4]) * own[i];
            for (int slot = 0; slot < 3; slot++) {
              mixed[i] += gate(gates[head * 4 + 1 + slot]) * bank[slot * 16 + i];
            }
          }
          return mixed;
        }

        private double gate(double x) {
          return 2 / (1 + Math.exp(-x));
        }
      };
    }
  };

  abstract NaiveModel make();

  /** What is to be computed the plain way. */
  final NaiveModel naive() {
    NaiveModel naive = make();
    naive.layers = 3;
    naive.heads = 4;
    naive.kvHeads = 2;
    naive.headSize = 8;
    naive.attentionScale = 1 / Math.sqrt(8);
    return naive;
  }
}
