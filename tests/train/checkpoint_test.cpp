#include "tinygpt/train/checkpoint.h"

#include <fstream>
#include <limits>
#include <set>

#include "tests/support/catch.h"
#include "tests/train/small_training.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/model/folder.h"

using namespace tinygpt;
using namespace tinygpt::test;
namespace fs = std::filesystem;

namespace {

const TrainOrigin kOrigin{"data/x", "text 1", "cpu", 2};

void save(const Trainer& trainer, const fs::path& folder) {
  save_checkpoint(trainer, kOrigin, folder, "{}\n");
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

void take_steps(Trainer& trainer, const TokenFile& data, int count,
                std::vector<double>* losses = nullptr) {
  for (int i = 0; i < count; ++i) {
    const double loss = train_step(trainer, data).loss;
    if (losses != nullptr) losses->push_back(loss);
  }
}

}  // namespace

TEST_CASE("50 steps are the same to the bit when stopped and resumed at 25", "[checkpoint]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Family family : {Family::gpt2, Family::llama}) {
    GptConfig config = small_config(family);
    config.dropout = 0.1f;
    TrainSettings settings = small_settings();
    settings.accumulate = 2;
    std::vector<double> losses, resumed_losses;
    Gpt<float> model = small_model(config, settings);
    Trainer trainer = make_trainer(model, settings);
    take_steps(trainer, data, 25);
    save(trainer, folder / "model");
    take_steps(trainer, data, 25, &losses);

    const auto checkpoint = newest_checkpoint(folder / "model");
    REQUIRE(checkpoint);
    CHECK(checkpoint->filename() == "step-000025");
    const CheckpointInfo info = read_checkpoint_info(*checkpoint);
    CHECK(info.step == 25);
    Gpt<float> other = small_model(read_model_config(*checkpoint), info.settings, 99);
    Trainer resumed = make_trainer(other, info.settings);
    load_checkpoint(resumed, *checkpoint);
    take_steps(resumed, data, 25, &resumed_losses);
    CHECK(resumed_losses == losses);
    CHECK(same_bits(parameters_of(model), parameters_of(other)));
    CHECK(same_bits(floats_of(trainer.m), floats_of(resumed.m)));
    CHECK(same_bits(floats_of(trainer.v), floats_of(resumed.v)));
    CHECK(resumed.step == 50);
    remove_checkpoints(folder / "model");
  }
}

TEST_CASE("settings and origin come back from a checkpoint as they were", "[checkpoint]") {
  const TemporaryFolder folder;
  TrainSettings s;
  s.batch = 3;
  s.time = 11;
  s.accumulate = 2;
  s.steps = 77;
  s.lr = 0.1f / 3;
  s.min_lr = 1e-7f;
  s.warmup = 9;
  s.beta1 = 0.8f;
  s.beta2 = 0.97f;
  s.weight_decay = 0.3f;
  s.clip = 0.7f;
  s.seed = 0xFFFF'FFFF'FFFF'FFFFu;
  s.documents = true;
  s.eval_every = 8;
  s.eval_tokens = 1'000'000'000'000;
  s.last_eval_tokens = 999'999;
  s.eval_context = 5;
  GptConfig config = small_config();
  config.eos_token = 0;
  Gpt<float> model = small_model(config, s);
  Trainer trainer = make_trainer(model, s);
  trainer.elapsed = 1.25;
  trainer.validation_loss = 0.1 + 0.2;
  save(trainer, folder.path());
  const fs::path checkpoint = *newest_checkpoint(folder.path());
  const CheckpointInfo info = read_checkpoint_info(checkpoint);
  const TrainSettings& r = info.settings;
  CHECK((r.batch == s.batch && r.time == s.time && r.accumulate == s.accumulate));
  CHECK((r.steps == s.steps && r.warmup == s.warmup && r.seed == s.seed));
  CHECK(r.documents);
  CHECK((r.lr == s.lr && r.min_lr == s.min_lr && r.clip == s.clip));
  CHECK((r.beta1 == s.beta1 && r.beta2 == s.beta2 && r.weight_decay == s.weight_decay));
  CHECK((r.eval_every == s.eval_every && r.eval_tokens == s.eval_tokens));
  CHECK((r.last_eval_tokens == s.last_eval_tokens && r.eval_context == s.eval_context));
  CHECK((info.origin.data == "data/x" && info.origin.corpus == "text 1"));
  CHECK((info.origin.kernels == "cpu" && info.origin.threads == 2));
  Trainer other = make_trainer(model, s);
  load_checkpoint(other, checkpoint);
  CHECK(other.elapsed == 1.25);
  CHECK(other.validation_loss == trainer.validation_loss);
}

TEST_CASE("the folder is the newest checkpoint's model, and the two newest are kept",
          "[checkpoint]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  const fs::path out = folder / "model";
  Gpt<float> model = small_model(small_config(), small_settings());
  Trainer trainer = make_trainer(model, small_settings());
  for (int i = 0; i < 4; ++i) {
    take_steps(trainer, data, 1);
    save(trainer, out);
    const fs::path newest = *newest_checkpoint(out);
    for (const char* name :
         {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}) {
      CHECK(read_file(out / name) == read_file(newest / name));
    }
  }
  CHECK(names_in(out / "checkpoints") == std::set<std::string>{"step-000003", "step-000004"});
  CHECK(names_in(out) == std::set<std::string>{"checkpoints", "config.json", "model.safetensors",
                                               "tokenizer.json", "tokenizer_config.json"});
  Gpt<float> loaded = small_model(read_model_config(out), small_settings(), 99);
  load_parameters(loaded, out);
  CHECK(same_bits(parameters_of(loaded), parameters_of(model)));
}

TEST_CASE("what a killed save left behind is not taken for a checkpoint", "[checkpoint]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  Gpt<float> model = small_model(small_config(), small_settings());
  Trainer trainer = make_trainer(model, small_settings());
  take_steps(trainer, data, 1);
  save(trainer, folder / "m");
  const fs::path all = folder / "m" / "checkpoints";
  // Killed while writing, while removing, and before publishing.
  fs::copy(all / "step-000001", all / ".unfinished");
  fs::copy(all / "step-000001", all / ".removed");
  fs::remove(all / ".unfinished" / "training.json");
  fs::create_directory(all / "step-x");
  write_file_atomically(folder / "m" / "model.safetensors", "an older model");
  write_file_atomically(folder / "m" / ".model.safetensors.new", "half linked");
  CHECK(newest_checkpoint(folder / "m")->filename() == "step-000001");
  publish_checkpoint(all / "step-000001", folder / "m");
  CHECK(read_file(folder / "m" / "model.safetensors") ==
        read_file(all / "step-000001" / "model.safetensors"));
  take_steps(trainer, data, 1);
  save(trainer, folder / "m");
  take_steps(trainer, data, 1);
  save(trainer, folder / "m");
  CHECK(names_in(all) == std::set<std::string>{"step-000002", "step-000003", "step-x"});
}

TEST_CASE("saving a step that was saved before replaces it", "[checkpoint]") {
  const TemporaryFolder folder;
  Gpt<float> model = small_model(small_config(), small_settings());
  Trainer trainer = make_trainer(model, small_settings());
  save(trainer, folder / "m");
  model.params()[0] = 7;
  save(trainer, folder / "m");
  CHECK(names_in(folder / "m" / "checkpoints") == std::set<std::string>{"step-000000"});
  Gpt<float> loaded = small_model(small_config(), small_settings(), 99);
  load_parameters(loaded, *newest_checkpoint(folder / "m"));
  CHECK(loaded.params()[0] == 7);
}

TEST_CASE("weights that are not finite never take the place of a checkpoint", "[checkpoint]") {
  const TemporaryFolder folder;
  Gpt<float> model = small_model(small_config(), small_settings());
  Trainer trainer = make_trainer(model, small_settings());
  save(trainer, folder / "m");
  const std::string before = read_file(folder / "m" / "model.safetensors");
  trainer.step = 1;
  model.params()[model.layout.total / 2] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(save(trainer, folder / "m"), ContainsSubstring("diverged"));
  CHECK(read_file(folder / "m" / "model.safetensors") == before);
  CHECK(newest_checkpoint(folder / "m")->filename() == "step-000000");
}

TEST_CASE("removing the checkpoints removes nothing else", "[checkpoint]") {
  const TemporaryFolder folder;
  Gpt<float> model = small_model(small_config(), small_settings());
  Trainer trainer = make_trainer(model, small_settings());
  save(trainer, folder / "m");
  fs::create_directory(folder / "m" / "checkpoints" / "mine");
  remove_checkpoints(folder / "m");
  CHECK(names_in(folder / "m" / "checkpoints") == std::set<std::string>{"mine"});
  CHECK(fs::exists(folder / "m" / "model.safetensors"));
  CHECK_FALSE(newest_checkpoint(folder / "m"));
  remove_checkpoints(folder / "nowhere");
}

TEST_CASE("a broken checkpoint is refused by the file's name", "[checkpoint]") {
  const TemporaryFolder folder;
  Gpt<float> model = small_model(small_config(), small_settings());
  Trainer trainer = make_trainer(model, small_settings());
  save(trainer, folder / "m");
  const fs::path good = *newest_checkpoint(folder / "m");
  const std::string state = read_file(good / "training.json");
  const auto refused = [&](const std::string& file, const std::string& content) {
    const fs::path bad = folder / "bad";
    fs::remove_all(bad);
    fs::copy(good, bad);
    fs::remove(bad / file);
    if (!content.empty()) std::ofstream(bad / file) << content;
    INFO(file << ": " << content);
    CHECK_THROWS_WITH(load_checkpoint(trainer, bad), ContainsSubstring(file));
  };
  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string text = state;
    return text.replace(text.find(what), what.size(), with);
  };
  for (const char* file : {"training.json", "model.safetensors", "optimizer-m.safetensors",
                           "optimizer-v.safetensors"}) {
    refused(file, "");
    refused(file, "not what it should be");
  }
  refused("training.json", replaced("\"step\": 0", "\"step\": -1"));
  refused("training.json", replaced("\"step\": 0", "\"step\": \"0\""));
  refused("training.json", replaced("\"data_counter\"", "\"counter\""));
  refused("training.json", replaced("\"settings\"", "\"setting\""));
  refused("training.json", replaced("\"beta1\"", "\"beta\""));
  refused("training.json", "[]");
  // Numbers that would wrap around, and texts that are none.
  refused("training.json", replaced("\"step\": 0", "\"step\": 4294967296"));
  refused("training.json", replaced("\"step\": 0", "\"step\": 0.5"));
  refused("training.json", replaced("\"data_counter\": 0", "\"data_counter\": -1"));
  refused("training.json", replaced("\"batch\": 3", "\"batch\": 1e300"));
  refused("training.json", replaced("\"batch\": 3", "\"batch\": true"));
  refused("training.json", replaced("\"elapsed_s\": 0.0", "\"elapsed_s\": -1.0"));
  refused("training.json", replaced("\"threads\": 2", "\"threads\": 2147483648"));
  refused("training.json", std::string(100000, '['));
  load_checkpoint(trainer, good);
}

TEST_CASE("a checkpoint of which one file is bad leaves the trainer as it was", "[checkpoint]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  Gpt<float> model = small_model(small_config(), small_settings());
  Trainer trainer = make_trainer(model, small_settings());
  take_steps(trainer, data, 3);
  save(trainer, folder / "m");
  const fs::path good = *newest_checkpoint(folder / "m");
  Gpt<float> other_model = small_model(small_config(), small_settings(), 2);
  Trainer other = make_trainer(other_model, small_settings());
  take_steps(other, data, 1);
  const auto copy = [](std::span<const float> values) {
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> weights = copy(parameters_of(other_model)), m = copy(floats_of(other.m)),
                           v = copy(floats_of(other.v));
  const auto refused = [&](const char* file, float value) {
    const fs::path bad = folder / "bad";
    fs::remove_all(bad);
    fs::copy(good, bad);
    std::string content = read_file(bad / file);
    std::memcpy(content.data() + content.size() - 4, &value, 4);
    fs::remove(bad / file);
    std::ofstream(bad / file, std::ios::binary) << content;
    CAPTURE(file, value);
    CHECK_THROWS_WITH(load_checkpoint(other, bad), ContainsSubstring("not finite"));
    CHECK(same_bits(weights, parameters_of(other_model)));
    CHECK(same_bits(m, floats_of(other.m)));
    CHECK(same_bits(v, floats_of(other.v)));
    CHECK(other.step == 1);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const char* file :
       {"model.safetensors", "optimizer-m.safetensors", "optimizer-v.safetensors"}) {
    refused(file, nan);
    refused(file, -std::numeric_limits<float>::infinity());
  }
  refused("optimizer-v.safetensors", -1e-9f);  // a mean of squares
  load_checkpoint(other, good);
  CHECK(same_bits(parameters_of(model), parameters_of(other_model)));
  CHECK(other.step == 3);
}
