// Every wrapper of ptx.cuh, for the tests that compile it for each architecture.
#include "gradlib/ptx.cuh"
extern "C" __global__ void warp_level(float* out, const float* x) {
  __shared__ alignas(128) float s[1024];
  ptx::cp_async<16>(s, x); ptx::cp_async<4>(s, x, 2); ptx::cp_async<8>(s, x, 2); ptx::cp_async<4>(s,x); ptx::cp_async<16>(s,x,8);
  ptx::cp_async_commit_group(); ptx::cp_async_wait_group<1>(); ptx::cp_async_wait_all();
  ptx::bar_sync(1, 64); ptx::bar_arrive(2, 64);
  unsigned a[4], b[2], c[1], h[2] = {0, 0}; float d[4] = {}; int q[4] = {};
  ptx::ldmatrix(a, s); ptx::ldmatrix<2, true>(b, s); ptx::ldmatrix(c, s); ptx::ldmatrix<4,true>(a, s);
  ptx::mma_m16n8k16<__half>(d, a, b); ptx::mma_m16n8k16<__nv_bfloat16>(d, a, b); ptx::mma_m16n8k16_f16(h, a, b);
  a[0] = ptx::to_tf32(x[0]); d[0] = ptx::ex2_approx(x[1]) + ptx::rcp_approx(x[2]);
  double f[2] = {}; ptx::mma_m8n8k4_f64(f, x[3], x[4]);
  ptx::mma_m16n8k8_tf32(d, a, b); ptx::mma_m16n8k32_s8(q, a, b);
  out[threadIdx.x] = d[0] + d[1] + d[2] + d[3] + q[0] + q[1] + q[2] + q[3] + h[0] + h[1] + c[0] + f[0] + f[1];
}
#if __CUDA_ARCH__ >= 890
template <class Left, class Right> __device__ float fp8(unsigned x) {
  unsigned a[4] = {x, x, x, x}, b[2] = {x, x}; float d[4] = {};
  ptx::mma_m16n8k32_fp8<Left, Right>(d, a, b);
  return d[0] + d[1] + d[2] + d[3];
}
extern "C" __global__ void fp8_products(float* out) {
  out[threadIdx.x] = fp8<ptx::e4m3, ptx::e4m3>(1) + fp8<ptx::e4m3, ptx::e5m2>(2) + fp8<ptx::e5m2, ptx::e4m3>(3) + fp8<ptx::e5m2, ptx::e5m2>(4);
}
#endif
#if __CUDA_ARCH__ >= 900
extern "C" __global__ void __cluster_dims__(2, 1, 1) hopper(float* out, const float* x, const __grid_constant__ TensorMap map) {
  __shared__ alignas(128) float s[1024];
  __shared__ ptx::mbarrier bar;
  unsigned a[4] = {1, 2, 3, 4}, b[2] = {5, 6}, c[1] = {7};
  ptx::stmatrix(s, a); ptx::stmatrix<2, true>(s, b); ptx::stmatrix(s, c); ptx::stmatrix<4, true>(s, a);
  ptx::mbarrier_init(&bar, 1); ptx::fence_mbarrier_init(); ptx::fence_proxy_async();
  ptx::fence_proxy_async_global(); ptx::fence_proxy_async_all();
  ptx::barrier_cluster_arrive_relaxed(); ptx::barrier_cluster_wait(); ptx::cluster_sync();
  ptx::mbarrier_arrive_expect_tx(&bar, 16); ptx::mbarrier_expect_tx(&bar, 16);
  unsigned long long st = ptx::mbarrier_arrive(&bar); ptx::mbarrier_wait(&bar, st);
  ptx::mbarrier_arrive_expect_tx_cluster(&bar, 1, 16); ptx::mbarrier_wait_parity_cluster(&bar, 0);
  ptx::mbarrier_arrive_cluster_relaxed(&bar, 1); ptx::mbarrier_arrive_cluster(&bar, 1); ptx::mbarrier_wait_parity(&bar, 0); ptx::mbarrier_test_wait_parity(&bar, 0);
  ptx::cp_async_mbarrier_arrive_noinc(&bar);
  ptx::prefetch_tensor_map(&map);
  ptx::tensor_load(s, &map, &bar, 0); ptx::tensor_load(s, &map, &bar, 0, 1); ptx::tensor_load(s, &map, &bar, 0, 1, 2);
  ptx::tensor_load(s, &map, &bar, 0, 1, 2, 3); ptx::tensor_load(s, &map, &bar, 0, 1, 2, 3, 4);
  ptx::tensor_load_multicast(s, &map, &bar, 3, 0, 1);
  ptx::tensor_load_im2col(s, &map, &bar, 0, 1, 2, 3); ptx::tensor_load_im2col(s, &map, &bar, 0, 1, 2, 3, 4, 5);
  ptx::tensor_load_im2col(s, &map, &bar, 0, 1, 2, 3, 4, 5, 6, 7); ptx::tensor_load_im2col_multicast(s, &map, &bar, 3, 0, 1, 2, 3);
  ptx::tensor_load_im2col_multicast(s, &map, &bar, 3, 0, 1, 2, 3, 4, 5); ptx::tensor_load_im2col_multicast(s, &map, &bar, 3, 0, 1, 2, 3, 4, 5, 6, 7);
  ptx::tensor_store(&map, s, 1); ptx::tensor_store(&map, s, 1, 2); ptx::tensor_store(&map, s, 1, 2, 3);
  ptx::tensor_store(&map, s, 1, 2, 3, 4); ptx::tensor_store(&map, s, 1, 2, 3, 4, 5);
  ptx::cp_async_bulk_load(s, x, 16, &bar); ptx::cp_async_bulk_store(out, s, 16);
  ptx::cp_reduce_async_bulk_add(out, s, 16); ptx::cp_reduce_async_bulk_add((double*)out, s, 16);
  ptx::cp_reduce_async_bulk_add((__half*)out, s, 16); ptx::cp_reduce_async_bulk_add((__nv_bfloat16*)out, s, 16);
  ptx::cp_reduce_async_bulk_add((int*)out, s, 16); ptx::cp_reduce_async_bulk_add((unsigned*)out, s, 16);
  ptx::cp_reduce_async_bulk_add((unsigned long long*)out, s, 16);
  ptx::cp_async_bulk_commit_group(); ptx::cp_async_bulk_wait_group<0>(); ptx::cp_async_bulk_wait_group_read<0>();
  if (ptx::elect_sync()) *ptx::mapa(s, 1) = ptx::cluster_rank() + ptx::cluster_size();
  ptx::griddepcontrol_wait(); ptx::griddepcontrol_launch_dependents(); ptx::mbarrier_inval(&bar);
}
#endif
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
template <int N> __device__ void products(float* out, unsigned char* s, int add) {
  unsigned long long a = ptx::wgmma_descriptor<128>(s, 0, 1024), b = ptx::wgmma_descriptor<0>(s, 128, 256);
  float d[N / 2]; unsigned r[4] = {1, 2, 3, 4};
  for (int i = 0; i < N / 2; ++i) d[i] = 0;
  ptx::wgmma_fence();
  ptx::wgmma<__half, N>(d, a, b, add); ptx::wgmma<__half, N, 1, 1>(d, a, b, add); ptx::wgmma<__nv_bfloat16, N>(d, a, b);
  ptx::wgmma<ptx::tf32, N>(d, a, b);
  ptx::wgmma<__half, N>(d, r, b); ptx::wgmma<__nv_bfloat16, N, 1>(d, r, b); ptx::wgmma<ptx::tf32, N>(d, r, b);
  ptx::wgmma<ptx::e4m3, N>(d, a, b, add); ptx::wgmma<ptx::e5m2, N>(d, r, b, add);
  ptx::wgmma_fp8<ptx::e4m3, ptx::e4m3, N>(d, a, b); ptx::wgmma_fp8<ptx::e4m3, ptx::e5m2, N>(d, a, b);
  ptx::wgmma_fp8<ptx::e5m2, ptx::e4m3, N>(d, a, b); ptx::wgmma_fp8<ptx::e5m2, ptx::e5m2, N>(d, a, b);
  ptx::wgmma_fp8<ptx::e4m3, ptx::e4m3, N>(d, r, b); ptx::wgmma_fp8<ptx::e4m3, ptx::e5m2, N>(d, r, b);
  ptx::wgmma_fp8<ptx::e5m2, ptx::e4m3, N>(d, r, b); ptx::wgmma_fp8<ptx::e5m2, ptx::e5m2, N>(d, r, b);
  ptx::wgmma_commit_group(); ptx::wgmma_wait_group<0>();
  for (int i = 0; i < N / 2; ++i) out[threadIdx.x + 128 * i] = d[i];
}
extern "C" __global__ void warpgroup(float* out, int add) {
  __shared__ alignas(1024) unsigned char s[4096];
  ptx::setmaxnreg_inc<240>();
  products<8>(out, s, add); products<16>(out, s, add); products<24>(out, s, add); products<128>(out, s, add); products<200>(out, s, add); products<256>(out, s, add);
  ptx::setmaxnreg_dec<24>();
}
#endif
