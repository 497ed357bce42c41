// cuBLAS as a peer. Its matrices are column by column, so each of ours is its transpose, and
// out = x W^T is asked for as out^T = W x^T.
#include <cublas_v2.h>
#include <fmt/format.h>

#include <memory>

#include "bench/products.h"
#include "tinygpt/core/error.h"

namespace tinygpt::bench {
namespace {

void require(cublasStatus_t status, const char* what) {
  check(status == CUBLAS_STATUS_SUCCESS,
        [&] { return fmt::format("cuBLAS: {}: status {}", what, static_cast<int>(status)); });
}

struct Handle {
  Handle() { require(cublasCreate(&handle), "create"); }
  ~Handle() { cublasDestroy(handle); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  cublasHandle_t handle = nullptr;
};

struct Factor {
  cublasOperation_t operation;
  const void* data;
  int lines;  // values between two columns
};

// out [rows x columns, column by column] = a b + beta out, a sum of K terms each
void product(const Handle& h, void* out, cudaDataType_t out_type, Factor a, Factor b,
             cudaDataType_t type, int rows, int columns, int K, float beta) {
  const float alpha = 1;
  require(cublasGemmEx(h.handle, a.operation, b.operation, rows, columns, K, &alpha, a.data, type,
                       a.lines, b.data, type, b.lines, &beta, out, out_type, rows,
                       CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "cublasGemmEx");
}

Products products_of(const std::shared_ptr<Handle>& h, bool bf16) {
  const cudaDataType_t type = bf16 ? CUDA_R_16BF : CUDA_R_32F;
  return {
      "cuBLAS", bf16,
      [=](void* out, const void* x, const void* weight, int N, int C, int OC) {
        product(*h, out, type, {CUBLAS_OP_T, weight, C}, {CUBLAS_OP_N, x, C}, type, OC, N, C, 0);
      },
      [=](void* dx, const void* dout, const void* weight, int N, int C, int OC) {
        product(*h, dx, type, {CUBLAS_OP_N, weight, C}, {CUBLAS_OP_N, dout, OC}, type, C, N, OC, 1);
      },
      [=](float* dweight, const void* dout, const void* x, int N, int C, int OC) {
        product(*h, dweight, CUDA_R_32F, {CUBLAS_OP_N, x, C}, {CUBLAS_OP_T, dout, OC}, type, C, OC,
                N, 1);
      }};
}

}  // namespace

std::vector<Products> cublas_products() {
  const auto handle = std::make_shared<Handle>();
  return {products_of(handle, false), products_of(handle, true)};
}

}  // namespace tinygpt::bench
