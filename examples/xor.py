"""XOR, which no linear model can learn, by a network of two layers."""

import gradlib as gl

gl.manual_seed(0)
x = gl.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = gl.tensor([[0.0], [1.0], [1.0], [0.0]])

model = gl.nn.Sequential(gl.nn.Dense(2, 8, activation="tanh"), gl.nn.Dense(8, 1, activation="sigmoid"))
optimizer = gl.optim.Adam(model.parameters(), lr=0.05)
loss = gl.nn.MSELoss()

for _ in range(300):
    optimizer.zero_grad()
    loss(model(x), y).backward()
    optimizer.step()

for inputs, output in zip(x.tolist(), model(x).numpy()[:, 0], strict=True):
    print(f"{inputs[0]:.0f} xor {inputs[1]:.0f} = {output:.2f}")
