// A model as Python holds it: one set of weights, and room for passes that grows as they ask for
// it.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "tinygpt/adapt/lora_config.h"
#include "tinygpt/model/adapter.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt::python {

// Where activations lie.
struct Room {
  DeviceBuffer arena;
  int max_batch = 0, max_time = 0;
};

struct ModelState;

// A LoRA adapter, for models of one shape. One of them may use it at a time: what its passes keep
// lies in it.
struct AdapterState {
  LoraConfig lora;
  GptConfig model;
  std::weak_ptr<ModelState> user;
  Adapter<float> adapter;  // its parameters never move, either
};
using SharedAdapter = std::shared_ptr<AdapterState>;

struct ModelState {
  Gpt<float> gpt;                        // the weights never move: arrays look at them
  Room rooms[3];                         // by purpose; empty where `gpt` has it
  SharedAdapter adapter;                 // in use, or nullptr
  std::shared_ptr<Tokenizer> tokenizer;  // nullptr: none came with it
  std::mutex mutex;                      // see Turn
  std::atomic<std::thread::id> user{};
};
using SharedModel = std::shared_ptr<ModelState>;

// The right to run a model, which one thread has at a time; others wait. Take it inside of
// without_gil alone: who has it may wait for the GIL. Throws Error where this thread has it
// already, as a callback would that runs the model that is calling it.
class Turn {
 public:
  explicit Turn(ModelState& state);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  ModelState& state_;
};

// A model whose weights are zero. `kernels` is "cpu" (fast), "ref" (clear), or a mixture. Throws
// Error on another device than "cpu", on unknown kernels, and where memory does not suffice.
SharedModel make_state(const GptConfig& config, const std::string& device,
                       const std::string& kernels);

// A folder, or a GGUF file; with its tokenizer.
SharedModel load_state(const std::filesystem::path& path, const std::string& device,
                       const std::string& kernels);

// The purpose whose passes keep what a backward pass needs: that of the model, or of its adapter.
Purpose learning_purpose(const ModelState& state);

// Makes room in an adapter for passes over so many tokens.
void grow_adapter(AdapterState& state, const Gpt<float>& gpt, std::int64_t rows);

// Makes `gpt` a model of this purpose with room for a pass over B x T tokens; for training, with
// gradients; its adapter has room, too. Throws Error where T is beyond the context, and where
// memory does not suffice.
void make_room(ModelState& state, Purpose purpose, int B, int T);

// Room of this size of its own, for activations that outlive the next pass.
Room new_room(const Gpt<float>& gpt, Purpose purpose, int B, int T);

// Puts `room` into a model in place of the one that it has, and gives that back.
Room exchange_room(Gpt<float>& gpt, Room room);

}  // namespace tinygpt::python
