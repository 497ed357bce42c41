// The engine: several sequences over one key-value cache, each with a length of its own.
//
// A pass takes new tokens of any of them, one each or a whole prompt, and gives logits for the
// token after. Everything is allocated when the engine is made; a pass allocates nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tinygpt/infer/model_weights.h"

namespace tinygpt {

inline constexpr int kEngineRows = 256;  // of a pass where nothing else is asked for

struct EngineSettings {
  int sequences = 1;   // that the cache has room for
  int capacity = 0;    // tokens that each may have; 0: the model's context_length
  int rows = 0;        // tokens that run through the model at once; 0: up to 256. More are cut.
  int logit_rows = 0;  // rows of logits that a pass may ask for; 0: one for each sequence
  CacheType cache = CacheType::f32;
};

// The settings with every 0 replaced. Throws Error, naming the value, on one out of range.
EngineSettings complete_settings(EngineSettings settings, const GptConfig& config);

struct EngineLedger {  // bytes, beside the weights
  std::int64_t cache = 0, activations = 0, scratch = 0;
  std::int64_t per_token = 0;  // of the cache, all layers
  std::int64_t total = 0;
};

// Known before anything is allocated. `settings` may have zeros.
template <class Real>
EngineLedger engine_ledger(const GptConfig& config, const Ops<Real>& ops,
                           const EngineSettings& settings);

// Pointers into the arena. R rows at once, LR rows of logits.
template <class Real>
struct EngineBuffers {
  int *tokens = nullptr, *sequence = nullptr, *position = nullptr;  // [R]
  int* picked = nullptr;                                            // [LR]
  int* drawn = nullptr;                                             // [1]
  float *cosine = nullptr, *sine = nullptr;              // [R, HS / 2]; of each row's position
  NormActivations<Real> norm;                            // [R, C]
  Real* branch = nullptr;                                // [R, C]
  Real* qkv = nullptr;                                   // [R, (NH + 2 NKV) HS]
  float* lse = nullptr;                                  // [NH, R]
  Real* att = nullptr;                                   // [R, C]
  Real *up = nullptr, *act = nullptr;                    // [R, up width], [R, hidden]
  Real *picked_att = nullptr, *picked_stream = nullptr;  // [LR, C]
  Real* logits = nullptr;                                // [LR, V]
  std::int64_t bytes = 0;
};

// Consecutive rows of a pass that belong to one sequence.
struct EngineSegment {
  int row, count, start;  // `start` tokens are in the cache before them
};

template <class Real>
struct Engine {
  ModelWeights<Real> weights;
  EngineSettings settings;  // complete
  DeviceBuffer cache, arena, scratch;
  EngineBuffers<Real> buffers;
  std::vector<KvCache> layers;
  // What each sequence has in the cache; room for `capacity` tokens is reserved.
  struct Sequence {
    bool used = false;
    std::vector<int> tokens;
  };
  std::vector<Sequence> sequences;
  // On the host: what a pass puts together and copies to the device.
  std::vector<int> tokens, sequence, position, picked;
  std::vector<EngineSegment> segments;
  std::vector<float> cosine, sine;          // [capacity, HS / 2]; llama
  std::vector<float> row_cosine, row_sine;  // [R, HS / 2]
  std::vector<Real> host_rows;     // [max(R, LR), C] or [LR, V], where memory is not the host's
  std::vector<float> host_logits;  // [V]
};

// Throws Error where the table has no operators for the cache, or memory does not suffice.
template <class Real>
Engine<Real> make_engine(const ModelWeights<Real>& weights, const EngineSettings& settings);

// A place in the cache, as a handle. Throws Error where all are in use.
template <class Real>
int add_sequence(Engine<Real>& engine);
template <class Real>
void remove_sequence(Engine<Real>& engine, int sequence);

// Forgets all but the first `length` tokens: drafted tokens that were not accepted, or a text that
// starts anew.
template <class Real>
void truncate(Engine<Real>& engine, int sequence, int length);

// The tokens that it has.
template <class Real>
std::span<const int> tokens_of(const Engine<Real>& engine, int sequence);

// What a pass does for one sequence: `tokens` come behind what it has, and each gives logits, the
// last one does, or none. Where a pass has more tokens than settings.rows, it runs in pieces.
enum class WantLogits { none, last, all };
struct SequenceInput {
  int sequence = 0;
  std::span<const int> tokens;
  WantLogits logits = WantLogits::last;
};

// Runs the model and returns how many rows of logits there are, in the order of `inputs`. They stay
// until the next pass. A sequence may be there once at most. Throws Error, before anything has
// changed, on a token that does not exist, a sequence without room, or more logits than
// settings.logit_rows.
template <class Real>
int run(Engine<Real>& engine, std::span<const SequenceInput> inputs);

// Row `row` of the last pass's logits [V], in the host's memory. Valid until the next call.
template <class Real>
std::span<const float> logits_of(Engine<Real>& engine, int row);

}  // namespace tinygpt
