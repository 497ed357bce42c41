// The model: parameters, gradients and activations in three buffers; forward and backward.
// Radford et al.: "Language Models are Unsupervised Multitask Learners" (2019), section 2.3.
// Touvron et al.: "LLaMA" (2023), section 2.2.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tinygpt/model/config.h"
#include "tinygpt/model/parameters.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt {

// Memory of a device that releases itself.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(const Memory& memory, std::int64_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  void* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  Memory memory_{};
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

// What a model is made for decides which buffers it has. One for adapting keeps its activations as
// for training, but its parameters are frozen and have no gradients: those of the adapter beside it
// (adapter.h) are trained.
enum class Purpose { inference, training, adapting };

template <class Real>
struct Activations;  // pointers into the arena, see activations.h

template <class Real>
struct Adapter;  // see adapter.h

template <class Real>
struct Gpt {
  GptConfig config;
  ParameterLayout layout;
  Ops<Real> ops;
  Memory memory;
  Purpose purpose = Purpose::inference;
  int max_batch = 0;  // the arena holds max_batch sequences of max_time tokens
  int max_time = 0;
  DeviceBuffer parameters;           // layout.total values of Real
  DeviceBuffer gradients;            // layout.total floats; only for training
  DeviceBuffer arena;                // activations and their gradients
  DeviceBuffer scratch;              // of the operators
  Adapter<Real>* adapter = nullptr;  // in use, or none; it belongs to the caller

  // The batch of the last forward pass, which backward continues.
  int batch = 0;
  int time = 0;
  int targets = 0;        // targets that count: those that are not kIgnoreTarget
  bool training = false;  // dropout was on
  std::uint64_t dropout_seed = 0;
  std::uint64_t dropout_step = 0;
  // Those of the linear layers hold nothing of use: the next backward pass writes them.
  bool fresh_gradients = false;

  Real* params() const { return static_cast<Real*>(parameters.data()); }
  float* grads() const { return static_cast<float*>(gradients.data()); }
};

// Allocates everything that the model will ever need: no later call allocates on the device (save
// for more scratch, should the number of threads grow). Together with the trainer's moments and
// results these are eight blocks of memory, each with a size that is known beforehand, which live
// as long as the model: what one arena would give (a ledger before the first step, no allocation
// inside of one, nothing to fragment), while a model for inference leaves out those it does not
// need. tests/train/device_test.cpp counts the allocations of a step: none.
// Parameters are zero until init_parameters or a file fills them. Throws Error on a bad config or
// when memory does not suffice.
template <class Real>
Gpt<Real> make_gpt(const GptConfig& config, const Ops<Real>& ops, const Memory& memory,
                   Purpose purpose, int max_batch, int max_time);

// GPT-2's initialisation: normal with standard deviation config.init_std, and that divided by
// sqrt(2 L) for the two projections of each block that write to the residual stream; biases 0, norm
// weights 1.
template <class Real>
void init_parameters(Gpt<Real>& model, std::uint64_t seed);

// Runs the model on tokens [B, T] (host memory) and returns the mean loss in nats over targets
// [B, T] (host memory), or 0 where targets is empty. Every token is checked to be in 0 .. V-1,
// every target also allows kIgnoreTarget; throws Error naming the offender. A model for training
// keeps what the backward pass needs.
struct ForwardOptions {
  bool training = false;           // apply dropout
  std::uint64_t dropout_seed = 0;  // masks are a function of (dropout_seed, dropout_step, place)
  std::uint64_t dropout_step = 0;
  // Device memory for the loss of each target [B, T]. Where it is given, nothing is copied to the
  // host, forward returns 0, and mean_loss gives what it would have returned.
  float* losses = nullptr;
};
template <class Real>
float forward(Gpt<Real>& model, std::span<const int> tokens, std::span<const int> targets, int B,
              int T, const ForwardOptions& options = {});

// The mean over `targets` (Gpt::targets) of losses that a forward pass left in options.losses, once
// they are in host memory.
float mean_loss(std::span<const float> losses, int targets);

// Copies the logits [T, V] of sequence b of the last forward pass to host memory; or, for
// last_logits, only those [V] of its last position. Valid until the next forward or backward.
// A model for training has them all from its forward pass. A model for inference never holds B * T
// * V values: these functions run the head over the rows asked for, so a forward pass without
// targets costs no head at all.
template <class Real>
void copy_logits(const Gpt<Real>& model, int b, std::span<float> logits);
template <class Real>
void copy_last_logits(const Gpt<Real>& model, int b, std::span<float> logits);

// The token that follows sequence b of the last forward pass, drawn on the device by the table's
// sample_token (ops/sampling.h), so that one number is copied instead of V. Overwrites the losses.
// Throws Error where the table has no such operator, and on logits that are not finite.
template <class Real>
int sample_last_token(const Gpt<Real>& model, int b, float temperature, double u);

// Adds scale times the gradient of the last forward pass's mean loss to model.gradients.
// With accumulation over k batches, scale is 1 / k.
template <class Real>
void backward(Gpt<Real>& model, float scale = 1.0f);

// Of what is trained: the model's, or those of the adapter in use.
template <class Real>
void zero_gradients(Gpt<Real>& model);

// The same for a backward pass that follows: what that writes is not zeroed before, where the
// kernels can do so (linear_backward_write). Until then the gradients have no meaning.
template <class Real>
void start_gradients(Gpt<Real>& model);

// The ledgers: known before the first step.
struct ParameterLedger {
  std::int64_t embedding = 0, positions = 0, attention = 0, mlp = 0, norms = 0, head = 0;
  std::int64_t total = 0;  // distinct values: a tied head counts once
};
ParameterLedger parameter_ledger(const GptConfig& config);

// Floating-point operations (a multiply-add is two) of matrix products and attention.
// Attention counts the causal half only: (T + 1) / 2 keys a query on average.
struct FlopLedger {
  double linears = 0, attention = 0, head = 0;  // forward, per token
  double forward = 0;                           // their sum
  double step = 0;                              // forward and backward: 3 x forward
};
FlopLedger flop_ledger(const GptConfig& config, int T);

struct MemoryLedger {  // bytes
  std::int64_t parameters = 0, gradients = 0, optimizer = 0, activations = 0, scratch = 0;
  std::int64_t total = 0;
};
template <class Real>
MemoryLedger memory_ledger(const GptConfig& config, const Ops<Real>& ops, Purpose purpose, int B,
                           int T);

}  // namespace tinygpt
